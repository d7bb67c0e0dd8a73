package mqtt

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// FuzzAnswer: what a device publishes ends its own call or none, and never blocks. Only the right topic with the right id does.
func FuzzAnswer(f *testing.F) {
	const key = "devices.acme.lamp-1.replies.worker-1"
	f.Add(key, []byte(`{"jsonrpc":"2.0","id":"c","result":1}`))
	f.Add(key, []byte(`{"jsonrpc":"2.0","id":"\u0063","error":{"code":1,"message":"m"}}`))
	f.Add(key, []byte(`[{"id":"c"}]`))
	f.Add(key, []byte("{\"id\":\"c\",\"id\":\"d\"}\xff"))
	f.Add("devices.acme.lamp-2.replies.worker-1", []byte(`{"jsonrpc":"2.0","id":"c","result":1}`))
	metrics, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, topic string, body []byte) {
		d := New(Config{Dispatcher: "worker-1", Metrics: metrics})
		own, _ := d.calls.expect(call{"acme", "lamp-1", "c"})
		other, _ := d.calls.expect(call{"acme", "lamp-3", "c"})
		d.Answer(topic, body)
		d.Answer(topic, body)
		if len(own) > 0 && topic != key || len(other) > 0 && topic != "devices.acme.lamp-3.replies.worker-1" {
			t.Errorf("what came on %q ended a call of another device", topic)
		}
	})
}
