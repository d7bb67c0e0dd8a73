package engine_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/cupline/cupline/agent/internal/basic"
	"github.com/cupline/cupline/agent/internal/engine"
	"github.com/cupline/cupline/agent/internal/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	topic    = "devices/acme/lamp-1/commands/d-1"
	replies  = "devices/acme/lamp-1/replies/d-1"
	patience = 20 * time.Second
)

// wire takes what is sent.
type wire chan [2]string

func (w wire) Publish(ctx context.Context, topic string, payload []byte) error {
	select {
	case w <- [2]string{topic, string(payload)}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w wire) next(t *testing.T) [2]string {
	t.Helper()
	select {
	case sent := <-w:
		return sent
	case <-time.After(patience):
		t.Fatal("nothing was sent")
		return [2]string{}
	}
}

func command(method string) []byte {
	return []byte(`{"jsonrpc":"2.0","id":"c","method":"` + method + `"}`)
}

func TestCommandsRunAtOnceUpToTheLimit(t *testing.T) {
	t.Parallel()
	started, release := make(chan struct{}, 2), make(chan struct{})
	methods := rpc.Table{"hold": func(context.Context, rpc.Call) (any, error) {
		started <- struct{}{}
		<-release
		return "held", nil
	}}
	out := make(wire, 8)
	e := engine.New(out, engine.Config{Methods: methods, Concurrency: 2, AnswerLimit: patience, Log: zap.NewNop()})
	for range 2 {
		e.Take(t.Context(), topic, command("hold"))
	}
	for range 2 {
		<-started
	}
	e.Take(t.Context(), topic, command("hold"))
	if sent := out.next(t); sent[0] != replies || !strings.Contains(sent[1], `"code":-32000`) {
		t.Errorf("the third got %q", sent)
	}
	close(release)
	for range 2 {
		if sent := out.next(t); sent != [2]string{replies, `{"jsonrpc":"2.0","id":"c","result":"held"}`} {
			t.Errorf("sent %q", sent)
		}
	}
	e.Stop(t.Context(), func() {})
	e.Take(t.Context(), topic, command("hold"))
	if len(started) != 0 {
		t.Error("a command was started after Stop")
	}
}

func TestFloodIsDroppedNotKept(t *testing.T) {
	t.Parallel()
	methods := rpc.Table{}
	basic.Add(methods)
	out := make(wire) // takes nothing by itself
	e := engine.New(out, engine.Config{Methods: methods, Concurrency: 1, AnswerLimit: patience, Log: zap.NewNop()})
	for range 2000 {
		e.Take(t.Context(), topic, command("echo"))
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		e.Stop(context.Background(), func() {})
	}()
	sent := 0
	for open := true; open; {
		select {
		case <-out:
			sent++
		case <-stopped:
			open = false
		case <-time.After(patience):
			t.Fatal("Stop does not return")
		}
	}
	if sent != 257 { // the one that ran, and the refusals that fit
		t.Errorf("%d answers", sent)
	}
}

func TestStopCancelsWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	methods := rpc.Table{}
	basic.Add(methods)
	out := make(wire, 1)
	e := engine.New(out, engine.Config{Methods: methods, Concurrency: 1, AnswerLimit: patience, Log: zap.NewNop()})
	commands, cancel := context.WithCancel(context.Background())
	defer cancel()
	e.Take(commands, topic, []byte(`{"jsonrpc":"2.0","id":"c","method":"sleep","params":{"seconds":600}}`))
	over, end := context.WithCancel(context.Background())
	end()
	e.Stop(over, cancel)
	if sent := out.next(t); !strings.Contains(sent[1], "the agent is stopping") {
		t.Errorf("sent %q", sent)
	}
}

func TestOtherTopicsAreIgnored(t *testing.T) {
	t.Parallel()
	out := make(wire, 1)
	e := engine.New(out, engine.Config{Methods: rpc.Table{}, Concurrency: 1, AnswerLimit: patience, Log: zap.NewNop()})
	e.Take(t.Context(), "devices/acme/lamp-1/replies/d-1", command("echo"))
	e.Stop(t.Context(), func() {})
	if len(out) != 0 {
		t.Error("a message on a topic of replies was answered")
	}
}
