package checker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cupline/cupline/verify/checker"
	"github.com/cupline/cupline/verify/history"
)

// besides is a history of commands of two tenants, one a second each: a hundred in calm, and a hundred
// while a fault lasts that is as given. A command takes 100 ms, during the fault as long as given.
func besides(fault history.Event, others time.Duration) []history.Event {
	began := time.Unix(1000, 0)
	fault.Kind, fault.At, fault.Took = history.Fault, began.Add(99500*time.Millisecond), 100*time.Second
	events := []history.Event{fault}
	for i := range 199 {
		at, took := began.Add(time.Duration(i)*time.Second), 100*time.Millisecond
		if i >= 100 {
			took = others
		}
		for _, tenant := range []string{"a", "b"} {
			id := fmt.Sprint(i)
			events = append(events, history.Event{Kind: history.Post, At: at, Tenant: tenant, Client: "online", ID: id, Method: "fast",
				Device: "d", Lane: "lane of " + tenant, Answer: history.Accepted},
				history.Event{Kind: history.Outcome, At: at.Add(took), Tenant: tenant, Client: "online", ID: id, Origin: "device"})
		}
	}
	return events
}

func TestAFaultOfOneIsFeltByThatOneOnly(t *testing.T) {
	t.Parallel()
	count := func(fault history.Event, others time.Duration) (n int) {
		for _, v := range checker.Check(besides(fault, others)) {
			if v.Invariant == "I8" {
				n++
			}
		}
		return n
	}
	one := history.Event{Name: "devices of a", Tenant: "a"}
	if count(one, 900*time.Millisecond) != 0 {
		t.Error("what takes less than the floor is complained of")
	}
	if count(one, 5*time.Second) != 1 {
		t.Error("the other tenant's delay is not complained of")
	}
	for scope, f := range map[checker.Scope]history.Event{
		checker.OneLane: {Name: "lane", Lane: "lane of a"}, checker.OneClient: {Name: "client", Tenant: "a", Client: "online"},
		checker.OneDevice: {Name: "device", Tenant: "a", Device: "d"},
	} {
		if count(f, 5*time.Second) != 1 {
			t.Errorf("a delay beside another %s is not complained of", scope)
		}
		if figures := checker.Bulkheads(besides(f, 5*time.Second)); len(figures) != 1 || figures[scope].DuringCount != 99 {
			t.Errorf("of another %s: %v", scope, figures)
		}
	}
	if count(history.Event{Name: "the broker"}, 5*time.Second) != 0 {
		t.Error("a fault of everybody is complained of")
	}
	figures := checker.Bulkheads(besides(one, 200*time.Millisecond))[checker.OneTenant]
	if figures.Calm != 100*time.Millisecond || figures.During != 200*time.Millisecond || figures.CalmCount != 100 || figures.DuringCount != 99 {
		t.Errorf("the figures are %+v", figures)
	}
}
