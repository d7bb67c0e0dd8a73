// Package command is what the programs of all services share: flags that stand in for
// variables of the environment, the list of settings, the log, and an end by signal.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/settings"
	"github.com/cupline/cupline/chassis/telemetry"
)

// Program is one service's command line. S is the struct of its settings.
type Program[S any] struct {
	// Name of the program, in its help.
	Name string
	// Flags name the variable that each flag stands in for; the flag wins.
	Flags map[string]string
	// Log picks the log's settings out of all of them.
	Log func(S) telemetry.LogConfig
	// Serve runs the service until ctx ends, by SIGINT or SIGTERM, and has stopped when it returns.
	Serve func(ctx context.Context, cfg S, log *zap.Logger, level zap.AtomicLevel) error
	// Metrics lists the metrics of a service with these settings; it connects to nothing.
	Metrics func(ctx context.Context, cfg S) ([]telemetry.Metric, error)
}

// Run parses the arguments, loads the settings and serves. --settings writes their list
// to out and ends, --metrics that of the metrics; logs gets log and help. The error says
// what to do about the command line or the settings, or is Serve's.
func (p Program[S]) Run(args, environ []string, out, logs io.Writer) error {
	asked, environ, err := p.parse(args, environ, logs)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	case asked.settings:
		return p.list(out)
	}
	var cfg S
	if err := settings.Load(&cfg, environ); err != nil {
		return err
	}
	if asked.metrics {
		return p.listMetrics(cfg, out)
	}
	log, level, err := telemetry.NewLog(logs, p.Log(cfg))
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return p.Serve(ctx, cfg, log, level)
}

// lists are what is to be listed instead of serving.
type lists struct{ settings, metrics bool }

// parse adds to the environment what the flags say: settings.Load takes the last of a name.
func (p Program[S]) parse(args, environ []string, logs io.Writer) (asked lists, _ []string, _ error) {
	flags := flag.NewFlagSet(p.Name, flag.ContinueOnError)
	flags.SetOutput(logs)
	for name, variable := range p.Flags {
		flags.Func(name, "instead of "+variable, func(value string) error {
			environ = append(environ, variable+"="+value)
			return nil
		})
	}
	flags.BoolVar(&asked.settings, "settings", false, "list the settings, and end")
	flags.BoolVar(&asked.metrics, "metrics", false, "list the metrics, and end; the settings must be there, and nothing is connected")
	if err := flags.Parse(args); err != nil {
		return lists{}, nil, err
	}
	if flags.NArg() > 0 {
		return lists{}, nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return asked, environ, nil
}

func (p Program[S]) listMetrics(cfg S, out io.Writer) error {
	all, err := p.Metrics(context.Background(), cfg)
	if err != nil {
		return err
	}
	return telemetry.WriteReference(out, all)
}

func (p Program[S]) list(out io.Writer) error {
	var none S
	table, err := settings.Markdown(none)
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, table)
	return err
}
