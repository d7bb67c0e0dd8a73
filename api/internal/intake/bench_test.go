package intake

import (
	"context"
	"testing"
	"time"

	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/schema/message"
)

// still confirms at once and counts nothing, so that what is measured is intake's own.
type still struct{ *neighbours }

func (still) Publish(context.Context, message.Message) error { return nil }
func (still) Accepted(string, string)                        {}
func (still) NotAccepted(string, problem.Code)               {}

func quiet() (*Intake, Post) {
	n := newNeighbours()
	in := New(Config{Registry: n, Publisher: still{n}, Quota: n, Clock: n, Observer: still{n}})
	return in, Post{Tenant: "acme", Client: "shop", Device: "lamp-1", TTL: 30 * time.Second}
}

var bodies = map[string][]byte{
	"plain":  []byte(`{"jsonrpc":"2.0","id":"c-42","method":"host.info","params":{"verbose":true}}`),
	"schema": []byte(`{"jsonrpc":"2.0","id":"c-42","method":"relay.set","params":{"on":true}}`),
}

// The budget of a command's objects, from its bytes to its message; checking params
// against a JSON Schema is the validator's own and comes on top.
func TestObjectsOfACommand(t *testing.T) {
	for name, budget := range map[string]float64{"plain": 25, "schema": 45} {
		in, post := quiet()
		post.Body = bodies[name]
		got := testing.AllocsPerRun(500, func() {
			if results, _, err := in.Accept(context.Background(), post); err != nil || results[0].Problem != nil {
				t.Fatal(results, err)
			}
		})
		t.Logf("%s: %.0f objects", name, got)
		if got > budget {
			t.Errorf("%s: %.0f objects, the budget is %.0f", name, got, budget)
		}
	}
}

func BenchmarkAccept(b *testing.B) {
	for name, body := range bodies {
		b.Run(name, func(b *testing.B) {
			in, post := quiet()
			post.Body = body
			b.ReportAllocs()
			for b.Loop() {
				if results, _, err := in.Accept(context.Background(), post); err != nil || results[0].Problem != nil {
					b.Fatal(results, err)
				}
			}
		})
	}
}
