package telemetry_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cupline/cupline/chassis/telemetry"
)

func TestALoadedCertificateIsShownByItsFile(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	c, err := telemetry.NewCertificates(registry)
	if err != nil {
		t.Fatal(err)
	}
	ends := time.Unix(2_000_000_000, 0)
	c.Loaded("/etc/tls/tls.crt", ends)
	c.Loaded("/etc/tls/tls.crt", ends.Add(time.Hour)) // renewed
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || len(families[0].GetMetric()) != 1 {
		t.Fatalf("%v, %v", families, err)
	}
	m := families[0].GetMetric()[0]
	if m.GetLabel()[0].GetValue() != "tls.crt" || m.GetGauge().GetValue() != 2_000_003_600 {
		t.Errorf("shown as %v", m)
	}
}
