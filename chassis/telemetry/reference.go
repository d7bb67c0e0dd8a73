package telemetry

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Registry is Prometheus' registry, which also knows what it will ever show: a vector has
// nothing to show before its first label values.
type Registry struct {
	*prometheus.Registry

	mu         sync.Mutex // guards collectors
	collectors []prometheus.Collector
}

// Register is Prometheus' own.
func (r *Registry) Register(c prometheus.Collector) error {
	if err := r.Registry.Register(c); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.collectors = append(r.collectors, c)
	return nil
}

// MustRegister is Register, which panics.
func (r *Registry) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		if err := r.Register(c); err != nil {
			panic(err)
		}
	}
}

// Metric is one name that a registry has.
type Metric struct {
	Name string
	// Type is counter, gauge or histogram.
	Type   string
	Labels []string
	Help   string
}

// ours is how every metric of Cupline's own begins; others are those of libraries.
const ours = "cupline_"

// Reference lists every metric of Cupline's own, by name.
func (r *Registry) Reference() ([]Metric, error) {
	r.mu.Lock()
	collectors := slices.Clone(r.collectors)
	r.mu.Unlock()
	var all []Metric
	for _, c := range collectors {
		found, err := describe(c)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.SortFunc(all, func(a, b Metric) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// described reads a Desc, which tells its parts in no other way.
var described = regexp.MustCompile(`^Desc\{fqName: "([^"]*)", help: ("(?:[^"\\]|\\.)*"),(?: unit: "[^"]*",)? constLabels: \{.*\}, variableLabels: \{(.*)\}\}$`)

func describe(c prometheus.Collector) ([]Metric, error) {
	kinds, err := typesOf(c)
	if err != nil {
		return nil, err
	}
	descs := make(chan *prometheus.Desc)
	go func() { // ends with Describe, which never waits for anything but this loop
		defer close(descs)
		c.Describe(descs)
	}()
	var found []Metric
	for d := range descs {
		parts := described.FindStringSubmatch(d.String())
		if parts == nil {
			err = fmt.Errorf("this description of a metric cannot be read: %s", d)
			continue
		}
		help, unquoted := strconv.Unquote(parts[2])
		err = errors.Join(err, unquoted)
		m := Metric{Name: parts[1], Type: kinds(parts[1]), Help: help}
		if parts[3] != "" {
			m.Labels = strings.Split(parts[3], ",")
		}
		if strings.HasPrefix(m.Name, ours) {
			found = append(found, m)
		}
	}
	return found, err
}

// typesOf tells the type of each of a collector's metrics.
func typesOf(c prometheus.Collector) (func(name string) string, error) {
	always := func(kind string) (func(string) string, error) { return func(string) string { return kind }, nil }
	switch c.(type) {
	case *prometheus.CounterVec:
		return always("counter")
	case *prometheus.GaugeVec:
		return always("gauge")
	case *prometheus.HistogramVec:
		return always("histogram")
	}
	// Anything else shows all that it has from the beginning.
	alone := prometheus.NewRegistry()
	if err := alone.Register(c); err != nil {
		return nil, fmt.Errorf("look at a collector: %w", err)
	}
	families, err := alone.Gather()
	if err != nil {
		return nil, fmt.Errorf("look at a collector: %w", err)
	}
	kinds := make(map[string]string, len(families))
	for _, f := range families {
		kinds[f.GetName()] = strings.ToLower(f.GetType().String())
	}
	return func(name string) string { return kinds[name] }, nil
}

// WriteReference writes metrics as tab-separated lines: name, type, labels joined by
// commas, meaning.
func WriteReference(to io.Writer, all []Metric) error {
	for _, m := range all {
		if _, err := fmt.Fprintf(to, "%s\t%s\t%s\t%s\n", m.Name, m.Type, strings.Join(m.Labels, ","), m.Help); err != nil {
			return err
		}
	}
	return nil
}
