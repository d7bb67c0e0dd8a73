package postgres_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cupline/cupline/chassis/postgres"
)

func TestPoolsAreToldApart(t *testing.T) {
	t.Parallel()
	pools := map[string]*postgres.Pool{}
	for name, conns := range map[string]int32{"shared": 8, "ledger": 2} {
		pool, err := postgres.Open(t.Context(), postgres.Config{URL: "postgres://nowhere.invalid/x", MaxConns: conns})
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		pools[name] = pool
	}
	registry := prometheus.NewPedanticRegistry()
	if err := postgres.NewMetrics(registry, pools); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	limits := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "cupline_pool_connections_limit" {
			for _, m := range f.GetMetric() {
				limits[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
			}
		}
	}
	if limits["shared"] != 8 || limits["ledger"] != 2 {
		t.Errorf("limits %v", limits)
	}
}
