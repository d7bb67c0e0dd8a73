package integration

import (
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/brokertest"
)

// values reads every counter and gauge, by name and the value of its last label.
func values(t testing.TB, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			labels := metric.GetLabel()
			name := family.GetName() + " " + labels[len(labels)-1].GetValue()
			found[name] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return found
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	host := brokertest.New(t)
	proxy := host.Proxy(t)
	registry := prometheus.NewRegistry()
	metrics, err := broker.NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := broker.NewMetrics(registry); err == nil {
		t.Fatal("registered twice")
	}
	config := host.Config(t, "measured")
	config.Metrics, config.URL = metrics, host.ProxyURL(proxy)
	link := broker.NewLink(config)
	declaring(link, quorum("work", nil))
	publisher := broker.NewPublisher(link, broker.PublisherConfig{})
	brokertest.Start(t, link)
	if err := publisher.Publish(within(t), to("work", "1")); err != nil {
		t.Fatal(err)
	}
	if err := publisher.Publish(within(t), to("nowhere", "2")); !errors.Is(err, broker.ErrUnroutable) {
		t.Fatal(err)
	}
	brokertest.Block(proxy, "low on memory")
	waitFor(t, link, "blocked", func(s broker.Status) bool { return s.Blocked })
	if err := publisher.Publish(within(t), to("work", "3")); !errors.Is(err, broker.ErrBlocked) {
		t.Fatal(err)
	}
	expect := func(want map[string]float64) {
		t.Helper()
		got := values(t, registry)
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%s is %v, want %v", name, got[name], value)
			}
		}
	}
	expect(map[string]float64{
		"cupline_broker_link_up measured": 1, "cupline_broker_link_blocked measured": 1, "cupline_broker_connects_total measured": 1,
		"cupline_broker_publishes_total confirmed": 1, "cupline_broker_publishes_total unroutable": 1,
		"cupline_broker_publishes_total blocked": 1, "cupline_broker_publish_seconds measured": 1,
	})
	proxy.Refuse()
	waitFor(t, link, "down", func(s broker.Status) bool { return s.State == broker.Down })
	brokertest.Eventually(t, "the alarm is forgotten with its connection", func() bool {
		got := values(t, registry)
		return got["cupline_broker_link_up measured"] == 0 && got["cupline_broker_link_blocked measured"] == 0 &&
			got["cupline_broker_blocked_seconds_total measured"] > 0
	})
}
