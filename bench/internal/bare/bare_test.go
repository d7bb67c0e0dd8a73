package bare

import (
	"context"
	"flag"
	"os"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // a pipeline needs a broker
	}
	goleak.VerifyTestMain(m)
}

func brokerURL(t *testing.T) string {
	t.Helper()
	url := os.Getenv("CUPLINE_TEST_AMQP_URL")
	if url == "" {
		t.Fatal("CUPLINE_TEST_AMQP_URL is not set: run this under make test, or start a testbed as CONTRIBUTING.md says")
	}
	return url
}

// Both forms carry every message once, with its latency, and leave nothing in the queues. They share the queues' names:
// one after the other.
func TestPipeline(t *testing.T) {
	url := brokerURL(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := Declare(ctx, url, 7); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { undeclare(t, url) })
	for name, cfg := range map[string]Config{"plain": Plain(url), "tuned": Tuned(url)} {
		cfg.Clients, cfg.Limit = 7, 3001
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			p := New(cfg)
			if err := p.Start(ctx); err != nil {
				t.Fatal(err)
			}
			<-p.Over()
			if err := p.Stop(ctx); err != nil {
				t.Fatal(err)
			}
			if p.Done() != 3001 || len(p.Latencies(began, time.Now())) != 3001 || len(p.Latencies(time.Now(), time.Now().Add(time.Hour))) != 0 {
				t.Errorf("%d done, %d latencies", p.Done(), len(p.Latencies(began, time.Now())))
			}
			for _, queue := range []string{firstQueue, secondQueue} {
				if left := waiting(t, url, queue); left != 0 {
					t.Errorf("%s still has %d messages", queue, left)
				}
			}
		})
	}
}

// Whichever connection breaks, that ends the run with an error instead of a figure.
func TestPipelineBroken(t *testing.T) {
	url := brokerURL(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := Declare(ctx, url, 1); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { undeclare(t, url) })
	cfg := Plain(url)
	cfg.Clients, cfg.Limit = 1, 10_000_000
	for broken := range 4 {
		p := New(cfg)
		if err := p.Start(ctx); err != nil {
			t.Fatal(err)
		}
		if err := p.conns[broken].Close(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-p.Over():
		case <-ctx.Done():
			t.Errorf("the break of connection %d went unnoticed", broken)
		}
		if err := p.Stop(ctx); err == nil {
			t.Errorf("the break of connection %d was not told", broken)
		}
	}
}

func undeclare(t *testing.T, url string) {
	ch := open(t, url)
	for _, queue := range []string{firstQueue, secondQueue} {
		if _, err := ch.QueueDelete(queue, false, false, false); err != nil {
			t.Error(err)
		}
	}
	if err := ch.ExchangeDelete(exchange, false, false); err != nil {
		t.Error(err)
	}
}

// waiting counts the messages of a queue that nobody consumes; those that were unacked when their connection went are among them.
func waiting(t *testing.T, url, queue string) int {
	t.Helper()
	ch := open(t, url)
	found, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return found.Messages
}

func open(t *testing.T, url string) *amqp.Channel {
	t.Helper()
	conn, err := dial(context.WithoutCancel(t.Context()), url, "bench test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}
