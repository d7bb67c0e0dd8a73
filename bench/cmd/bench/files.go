package main

import (
	"errors"
	"io"

	"github.com/cupline/cupline/bench/internal/report"
)

// files are where the report goes, and what it is held against; those that are empty are not wanted.
type files struct {
	json, html, baseline string
}

// before is the baseline, read before anything is measured: what cannot be read would be missed afterwards.
func (f files) before() (*report.Report, error) {
	if f.baseline == "" {
		return nil, nil
	}
	r, err := report.Read(f.baseline)
	return &r, err
}

func (f files) write(found report.Report, baseline *report.Report, out io.Writer) (err error) {
	if baseline != nil {
		err = report.Changes(out, *baseline, report.Compare(*baseline, found))
	}
	if f.json != "" {
		err = errors.Join(err, found.Write(f.json))
	}
	if f.html != "" {
		err = errors.Join(err, found.WriteHTML(f.html, baseline))
	}
	return err
}
