package tracing

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/zap"
)

const complainEvery = time.Minute

// counting keeps an exporter's failures to itself: they are counted, logged once a
// minute, and nobody else's concern. OpenTelemetry would hand them to a global.
type counting struct {
	sdk.SpanExporter
	spans *prometheus.CounterVec
	log   *zap.Logger

	mu         sync.Mutex // guards complained
	complained time.Time
}

// ExportSpans sends spans, or counts them as failed.
func (c *counting) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := c.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		c.spans.WithLabelValues("exported").Add(float64(len(spans)))
		return nil
	}
	c.spans.WithLabelValues("failed").Add(float64(len(spans)))
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.complained) >= complainEvery {
		c.complained = time.Now()
		c.log.Warn("spans are lost: the traces' endpoint takes none", zap.Error(err))
	}
	return nil
}
