package telemetry_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cupline/cupline/chassis/telemetry"
)

func TestReferenceKnowsWhatHasNotBeenCountedYet(t *testing.T) {
	t.Parallel()
	r := telemetry.NewRegistry()
	r.MustRegister(
		prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cupline_b_total", Help: `With "quotes", and commas.`}, []string{"x", "y"}),
		prometheus.NewHistogram(telemetry.Seconds("cupline_a_seconds", "A.")),
		prometheus.NewGauge(prometheus.GaugeOpts{Name: "cupline_c", Help: "C."}),
		prometheus.NewGauge(prometheus.GaugeOpts{Name: "other", Help: "Not ours."}),
	)
	got, err := r.Reference()
	if err != nil {
		t.Fatal(err)
	}
	want := []telemetry.Metric{
		{Name: "cupline_a_seconds", Type: "histogram", Help: "A."},
		{Name: "cupline_b_total", Type: "counter", Labels: []string{"x", "y"}, Help: `With "quotes", and commas.`},
		{Name: "cupline_c", Type: "gauge", Help: "C."},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	var lines strings.Builder
	if err := telemetry.WriteReference(&lines, got[1:2]); err != nil || lines.String() != "cupline_b_total\tcounter\tx,y\tWith \"quotes\", and commas.\n" {
		t.Errorf("%q, %v", lines.String(), err)
	}
}

func TestExemplarsLeadToSampledTracesOnly(t *testing.T) {
	t.Parallel()
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	r := telemetry.NewRegistry()
	h := prometheus.NewHistogram(telemetry.Seconds("cupline_test_seconds", "A test."))
	r.MustRegister(h)
	for _, unsampled := range []string{
		"", "00-" + id + "-00f067aa0ba902b7-00", "00-" + id, "garbage", "00-" + strings.Repeat("Z", 32) + "-00f067aa0ba902b7-01",
	} {
		telemetry.Observe(h, time.Millisecond, unsampled)
	}
	telemetry.Observe(h, time.Second, "00-"+id+"-00f067aa0ba902b7-01")
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, f := range families {
		if f.GetName() != "cupline_test_seconds" {
			continue
		}
		for _, b := range f.GetMetric()[0].GetHistogram().GetBucket() {
			if e := b.GetExemplar(); e != nil {
				found = append(found, e.GetLabel()[0].GetName()+"="+e.GetLabel()[0].GetValue())
			}
		}
	}
	if want := []string{"trace_id=" + id}; !reflect.DeepEqual(found, want) {
		t.Errorf("exemplars %v, want %v", found, want)
	}
}

func TestWordsAreBounded(t *testing.T) {
	t.Parallel()
	w := telemetry.NewWords(2)
	var got []string
	for _, word := range []string{"a", "b", "c", "a", "d", "b"} {
		got = append(got, w.Label(word))
	}
	if want := []string{"a", "b", "other", "a", "other", "b"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}
