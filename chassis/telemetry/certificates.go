package telemetry

import (
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Certificates shows until when the certificates of this process are valid.
type Certificates struct{ expiry *prometheus.GaugeVec }

// NewCertificates makes and registers cupline_certificate_expiry_timestamp_seconds (file),
// which shows nothing before a certificate is loaded.
func NewCertificates(registerer prometheus.Registerer) (*Certificates, error) {
	c := &Certificates{expiry: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "cupline_certificate_expiry_timestamp_seconds",
		Help: "When a certificate that is in use ends, in seconds since 1970, by the name of its file.",
	}, []string{"file"})}
	return c, registerer.Register(c.expiry)
}

// Loaded notes a certificate that was read, at start or anew.
func (c *Certificates) Loaded(file string, ends time.Time) {
	c.expiry.WithLabelValues(filepath.Base(file)).Set(float64(ends.Unix()))
}
