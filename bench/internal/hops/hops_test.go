package hops

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(int) { http.DefaultClient.CloseIdleConnections() }))
}

// What is counted between two looks is told to within a tenth, of the series that are asked for.
func TestPercentiles(t *testing.T) {
	registry := prometheus.NewRegistry()
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "hop_seconds", Help: "A hop.", Buckets: []float64{1}, NativeHistogramBucketFactor: 1.1,
	}, []string{"link"})
	registry.MustRegister(h)
	server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	defer server.Close()
	addresses, hops := []string{strings.TrimPrefix(server.URL, "http://")}, []Hop{{Name: "a", Metric: "hop_seconds", Labels: map[string]string{"link": "a"}}}
	for range 1000 {
		h.WithLabelValues("a").Observe(9) // before: must not count
	}
	before, err := Look(t.Context(), addresses, hops)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		h.WithLabelValues("a").Observe(float64(i+1) / 1000)
		h.WithLabelValues("b").Observe(50)
	}
	after, err := Look(t.Context(), addresses, hops)
	if err != nil {
		t.Fatal(err)
	}
	got := after["a"].Since(before["a"])
	if got.Count() != 1000 {
		t.Errorf("%g were counted", got.Count())
	}
	for p, want := range map[float64]time.Duration{50: 500 * time.Millisecond, 99: 990 * time.Millisecond} {
		if d := got.Percentile(p); d < want || d > want*11/10 {
			t.Errorf("percentile %g: %s, want %s to within a tenth", p, d, want)
		}
	}
	if d := (Counts{}).Percentile(99); d != 0 {
		t.Errorf("of nothing: %s", d)
	}
}

// Histograms of different resolution are held against each other at the coarser one.
func TestResolutions(t *testing.T) {
	t.Parallel()
	fine := Counts{schema: 3, buckets: map[int]float64{8: 2, 9: 4, 16: 1}} // bounds 2, 2.18, 4
	coarse := Counts{schema: 0, buckets: map[int]float64{1: 1, 2: 2}}      // bounds 2 and 4
	if got := fine.Since(coarse); got.schema != 0 || got.buckets[1] != 1 || got.buckets[2] != 3 {
		t.Errorf("%+v", got)
	}
}

func TestWhatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	for _, address := range []string{strings.TrimPrefix(server.URL, "http://"), "127.0.0.1:1"} {
		if _, err := Look(t.Context(), []string{address}, nil); err == nil {
			t.Errorf("%s gave metrics", address)
		}
	}
}
