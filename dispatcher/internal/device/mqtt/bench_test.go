package mqtt

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func BenchmarkAnswer(b *testing.B) {
	metrics, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	d := New(Config{Dispatcher: "worker-1", Metrics: metrics})
	const id = "01908c3e-7d2a-7000-8000-000000000001"
	body := []byte(`{"jsonrpc":"2.0","id":"` + id + `","result":{"on":true,"level":0.75,"name":"kitchen"}}`)
	key := call{"acme", "lamp-1", id}
	b.ReportAllocs()
	for b.Loop() {
		answers, _ := d.calls.expect(key)
		d.Answer("devices.acme.lamp-1.replies.worker-1", body)
		if a := <-answers; a.err != nil {
			b.Fatal(a.err)
		}
	}
}

// BenchmarkAnswerTooLong is what an answer of 10 MiB costs before its call ends as bad_answer.
func BenchmarkAnswerTooLong(b *testing.B) {
	metrics, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	d := New(Config{Dispatcher: "worker-1", Metrics: metrics})
	body := make([]byte, 0, 10<<20+64)
	body = append(body, `{"jsonrpc":"2.0","result":"`...)
	for len(body) < 10<<20 {
		body = append(body, 'x')
	}
	body = append(body, `","id":"1"}`...)
	key := call{"acme", "lamp-1", "1"}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		answers, _ := d.calls.expect(key)
		d.Answer("devices.acme.lamp-1.replies.worker-1", body)
		if a := <-answers; a.err != nil {
			b.Fatal(a.err)
		}
	}
}
