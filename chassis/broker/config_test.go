package broker

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cupline/cupline/schema/message"
)

func TestURLs(t *testing.T) {
	t.Parallel()
	got, err := Config{URL: "amqp://a/, amqps://b:5671/v ,"}.urls()
	if err != nil || !slices.Equal(got, []string{"amqp://a/", "amqps://b:5671/v"}) {
		t.Fatalf("got %q, %v", got, err)
	}
	for _, url := range []string{"", " , ", "http://u:hunter2@h/", "amqp://u:hunter2@h:port/", "amqp://h/,amqp://u:hun%zzter2@h"} {
		if _, err := (Config{URL: url}).urls(); err == nil || strings.Contains(err.Error(), "hun") {
			t.Errorf("%q: got %v", url, err)
		}
	}
}

func TestALinkThatWasNeverStarted(t *testing.T) {
	t.Parallel()
	l := NewLink(Config{URL: "amqp://nowhere/"})
	publisher := NewPublisher(l, PublisherConfig{})
	if err := publisher.Publish(t.Context(), to("x")); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	for range 2 {
		if err := l.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Start(t.Context()); !errors.Is(err, ErrClosed) {
		t.Fatalf("start after stop: got %v", err)
	}
	if err := l.Wait(t.Context()); !errors.Is(err, ErrClosed) {
		t.Fatalf("wait after stop: got %v", err)
	}
	if err := publisher.Publish(t.Context(), to("x")); !errors.Is(err, ErrClosed) {
		t.Fatalf("publish after stop: got %v", err)
	}
	told := make(chan error, 1)
	publisher.Submit(t.Context(), to("x"), func(err error) { told <- err })
	if err := <-told; !errors.Is(err, ErrClosed) {
		t.Fatalf("submit after stop: got %v", err)
	}
}

func TestStartRefusesABadURL(t *testing.T) {
	t.Parallel()
	if err := NewLink(Config{URL: "nonsense"}).Start(t.Context()); err == nil {
		t.Fatal("no error")
	}
}

func TestBackoffGrowsAndIsBounded(t *testing.T) {
	t.Parallel()
	var b backoff
	for i := range 20 {
		wait := b.next()
		most := min(backoffMin<<i, backoffMax)
		if i > 10 {
			most = backoffMax
		}
		if wait < most/2 || wait > most {
			t.Fatalf("wait %d is %s, want %s to %s", i, wait, most/2, most)
		}
	}
	b.reset()
	if wait := b.next(); wait > backoffMin {
		t.Fatalf("after a reset: %s", wait)
	}
}

func TestAlarm(t *testing.T) {
	t.Parallel()
	var a alarm
	a.lower()
	before := a.raised()
	a.raise("memory")
	a.raise("disk")
	select {
	case <-before:
	default:
		t.Fatal("raising it told nobody")
	}
	if !a.active() || a.reason() != "disk" {
		t.Fatalf("%t, %q", a.active(), a.reason())
	}
	a.lower()
	a.lower()
	select {
	case <-a.raised():
		t.Fatal("it is still raised")
	default:
	}
}

func to(key string) message.Message { return message.Message{Key: key} }
