// Package tracing makes OpenTelemetry spans and sends them over OTLP. Contexts travel as
// the text of W3C Trace Context, because between processes they ride in the headers of
// messages: a span is made from such a text and gives one.
//
// A nil *Tracer is tracing that is off. Its methods, and those of the nil *Span that it
// makes, do nothing, allocate nothing, and pass the context on that came in.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/settings"
)

// Settings of tracing; they are read by package settings as they stand. The names are
// those of OpenTelemetry's specification.
type Settings struct {
	Endpoint string          `env:"OTEL_EXPORTER_OTLP_ENDPOINT" doc:"where traces go, over OTLP by HTTP, such as http://collector:4318; tracing is off when empty"`
	Headers  settings.Secret `env:"OTEL_EXPORTER_OTLP_HEADERS" doc:"headers for it, as name=value, comma separated"`
	Ratio    float64         `env:"OTEL_TRACES_SAMPLER_ARG" default:"0.01" doc:"the part of new traces that is sampled, 0 to 1; a request that comes with a traceparent is sampled as that says"`
}

// Check reports what is wrong.
func (s Settings) Check() error {
	var problems []error
	if s.Ratio < 0 || s.Ratio > 1 {
		problems = append(problems, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG is %v: must be 0 to 1", s.Ratio))
	}
	if u, err := url.Parse(s.Endpoint); s.Endpoint != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		problems = append(problems, errors.New("OTEL_EXPORTER_OTLP_ENDPOINT must be http://host:port or https://host:port"))
	}
	if _, err := headers(s.Headers.Reveal()); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

func headers(text string) (map[string]string, error) {
	all := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		if pair == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, errors.New("OTEL_EXPORTER_OTLP_HEADERS must be name=value, comma separated")
		}
		all[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return all, nil
}

// Bounds of what waits to be sent. What does not fit is dropped, and never waited for.
const (
	queueSpans = 4096
	batchSpans = 512
	sendEvery  = 2 * time.Second
	sendLimit  = 10 * time.Second
)

// Tracer makes the spans of one process.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// New makes a tracer for a service; nil, which is tracing that is off, without an
// endpoint. It connects to nothing: an endpoint that cannot be reached is counted, logged
// now and then, and holds nobody up.
func New(ctx context.Context, cfg Settings, service string, registerer prometheus.Registerer, log *zap.Logger) (*Tracer, error) {
	spans := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "cupline_trace_spans_total", Help: "Spans of sampled traces, by what became of them: exported or failed.",
	}, []string{"result"})
	if err := registerer.Register(spans); err != nil {
		return nil, fmt.Errorf("register the metrics of tracing: %w", err)
	}
	if cfg.Endpoint == "" {
		return nil, nil
	}
	with, err := headers(cfg.Headers.Reveal())
	if err != nil {
		return nil, err
	}
	base := strings.TrimSuffix(cfg.Endpoint, "/")
	otlp, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(base+"/v1/traces"), otlptracehttp.WithHeaders(with),
		otlptracehttp.WithTimeout(sendLimit), otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: false}))
	if err != nil {
		return nil, fmt.Errorf("make the exporter of traces: %w", err)
	}
	return start(&counting{SpanExporter: otlp, spans: spans, log: log}, cfg.Ratio, service), nil
}

func start(to sdk.SpanExporter, ratio float64, service string) *Tracer {
	provider := sdk.NewTracerProvider(
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(ratio))),
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", service), attribute.String("service.namespace", "cupline"))),
		sdk.WithBatcher(to, sdk.WithMaxQueueSize(queueSpans), sdk.WithMaxExportBatchSize(batchSpans),
			sdk.WithBatchTimeout(sendEvery), sdk.WithExportTimeout(sendLimit)),
	)
	return &Tracer{provider: provider, tracer: provider.Tracer("github.com/cupline/cupline")}
}

// Stop sends what waits, within ctx, and ends. What cannot be sent is lost, which is no
// error of a process that stops.
func (t *Tracer) Stop(ctx context.Context) error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, sendEvery)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // its errors were counted
	return nil
}

// Context is a W3C trace context; the zero value is none.
type Context struct{ Parent, State string }

// Kind of a span, as OpenTelemetry has it.
type Kind = trace.SpanKind

// The kinds that are in use.
const (
	Server   = trace.SpanKindServer
	Client   = trace.SpanKindClient
	Producer = trace.SpanKindProducer
	Consumer = trace.SpanKindConsumer
)

// Span is one piece of work. It is used by one goroutine at a time.
type Span struct {
	span    trace.Span
	context Context
}

// Start begins a span below parent, or a new trace when that is none, or cannot be read.
func (t *Tracer) Start(kind Kind, name string, parent Context) *Span {
	if t == nil {
		return nil
	}
	return t.start(read(parent), name, trace.WithSpanKind(kind))
}

// StartLinked begins a new trace that links to the one that it comes from.
func (t *Tracer) StartLinked(kind Kind, name string, from Context) *Span {
	if t == nil {
		return nil
	}
	link := trace.Link{SpanContext: trace.SpanContextFromContext(read(from))}
	return t.start(context.Background(), name, trace.WithSpanKind(kind), trace.WithLinks(link))
}

func (t *Tracer) start(parent context.Context, name string, options ...trace.SpanStartOption) *Span {
	ctx, span := t.tracer.Start(parent, name, options...)
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return &Span{span: span, context: Context{carrier["traceparent"], carrier["tracestate"]}}
}

func read(c Context) context.Context {
	if c.Parent == "" {
		return context.Background()
	}
	return propagation.TraceContext{}.Extract(context.Background(),
		propagation.MapCarrier{"traceparent": c.Parent, "tracestate": c.State})
}

// Context of the span, for what comes of it; otherwise where there is no span.
func (s *Span) Context(otherwise Context) Context {
	if s == nil {
		return otherwise
	}
	return s.context
}

// Set notes something about the work; an empty value is left out.
func (s *Span) Set(key, value string) {
	if s != nil && value != "" && s.span.IsRecording() {
		s.span.SetAttributes(attribute.String(key, value))
	}
}

// Event notes that something happened at this moment.
func (s *Span) Event(name string) {
	if s != nil {
		s.span.AddEvent(name)
	}
}

// Fail marks the work as failed, and says why.
func (s *Span) Fail(why string) {
	if s != nil {
		s.span.SetStatus(codes.Error, why)
	}
}

// End ends the work.
func (s *Span) End() {
	if s != nil {
		s.span.End()
	}
}
