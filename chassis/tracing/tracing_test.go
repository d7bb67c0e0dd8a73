package tracing

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/settings"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	id       = "4bf92f3577b34da6a3ce929d0e0e4736"
	sampled  = "00-" + id + "-00f067aa0ba902b7-01"
	unwanted = "00-" + id + "-00f067aa0ba902b7-00"
)

func TestOffPassesTheContextOnAndDoesNothing(t *testing.T) { // not in parallel: it counts allocations
	off, err := New(t.Context(), Settings{}, "api", prometheus.NewRegistry(), zap.NewNop())
	if err != nil || off != nil {
		t.Fatalf("%v, %v", off, err)
	}
	came := Context{sampled, "a=b"}
	allocations := testing.AllocsPerRun(100, func() {
		span := off.Start(Consumer, "process", came)
		span.Set("key", "value")
		span.Event("acked")
		span.Fail("why")
		if span.Context(came) != came {
			t.Error("another context")
		}
		span.End()
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
	if err := off.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSpansGoOnFromWhatCameIn(t *testing.T) {
	t.Parallel()
	kept := &stays{tracetest.NewInMemoryExporter()}
	on := start(kept, 0, "api") // new traces are not sampled
	span := on.Start(Server, "post", Context{sampled, "a=b"})
	span.Set("tenant", "acme")
	below := on.Start(Consumer, "process", span.Context(Context{}))
	below.Fail("no_answer")
	below.End()
	span.End()
	for _, parent := range []string{"", "garbage", unwanted} {
		none := on.Start(Server, "post", Context{Parent: parent})
		if got := none.Context(Context{}); !strings.HasSuffix(got.Parent, "-00") {
			t.Errorf("%q: goes on as %+v", parent, got)
		}
		none.End()
	}
	if got := below.Context(Context{}); !strings.HasPrefix(got.Parent, "00-"+id+"-") || !strings.HasSuffix(got.Parent, "-01") || got.State != "a=b" {
		t.Errorf("goes on as %+v", got)
	}
	if err := on.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	spans := kept.GetSpans()
	if len(spans) != 2 || spans[0].Parent.SpanID() != spans[1].SpanContext.SpanID() || spans[1].Parent.SpanID().String() != "00f067aa0ba902b7" {
		t.Fatalf("spans %+v", spans)
	}
}

func TestARedriveLinksToWhereItComesFrom(t *testing.T) {
	t.Parallel()
	kept := &stays{tracetest.NewInMemoryExporter()}
	on := start(kept, 1, "api")
	on.StartLinked(Producer, "redrive", Context{Parent: sampled}).End()
	if err := on.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	spans := kept.GetSpans()
	if len(spans) != 1 || spans[0].SpanContext.TraceID().String() == id || spans[0].Links[0].SpanContext.TraceID().String() != id {
		t.Fatalf("spans %+v", spans)
	}
}

// stays keeps what it has when it is shut down.
type stays struct{ *tracetest.InMemoryExporter }

func (*stays) Shutdown(context.Context) error { return nil }

func TestAnEndpointThatRefusesIsCountedAndNothingElse(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 1)
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- r.URL.Path + " " + r.Header.Get("x-key"):
		default:
		}
		w.WriteHeader(http.StatusForbidden)
	}))
	defer refusing.Close()
	registry := prometheus.NewRegistry()
	on, err := New(t.Context(), Settings{Endpoint: refusing.URL, Headers: settings.Secret("x-key=7"), Ratio: 1}, "api", registry, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	on.Start(Server, "post", Context{}).End()
	if err := on.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	if got := <-asked; got != "/v1/traces 7" {
		t.Errorf("asked for %q", got)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if m := families[0].GetMetric()[0]; m.GetLabel()[0].GetValue() != "failed" || m.GetCounter().GetValue() != 1 {
		t.Errorf("counted %v", m)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	t.Parallel()
	for _, wrong := range []Settings{
		{Ratio: 2}, {Endpoint: "collector:4318"}, {Endpoint: "http://"}, {Headers: settings.Secret("novalue")},
	} {
		if wrong.Check() == nil {
			t.Errorf("%+v: no error", wrong)
		}
	}
	if err := (Settings{Endpoint: "http://collector:4318", Ratio: 0.5}).Check(); err != nil {
		t.Error(err)
	}
}

func BenchmarkOff(b *testing.B) {
	var off *Tracer
	came := Context{Parent: sampled}
	b.ReportAllocs()
	for b.Loop() {
		span := off.Start(Consumer, "process", came)
		span.Set("tenant", "acme")
		if span.Context(came) != came {
			b.Fatal("another context")
		}
		span.End()
	}
}

func BenchmarkUnsampled(b *testing.B) {
	on := start(&stays{tracetest.NewInMemoryExporter()}, 0, "api")
	b.ReportAllocs()
	for b.Loop() {
		span := on.Start(Consumer, "process", Context{Parent: unwanted})
		span.Set("tenant", "acme")
		span.End()
	}
	if err := on.Stop(context.Background()); err != nil {
		b.Fatal(err)
	}
}
