package ops

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// mirror is a queue whose messages are known, and what a broker would count of it.
type mirror struct {
	ready, unacked []time.Time
	in, acked      int64
}

func (m *mirror) told() []told {
	t := told{Name: "q", Ready: int64(len(m.ready)), Unacked: int64(len(m.unacked))}
	t.Stats.Published, t.Stats.Acked = m.in, m.acked
	return []told{t}
}

// What is said is never earlier than the message at the head came, and not later than the look that saw it first: while messages come and
// go, expire, or are dead-lettered into the queue, but not both of the latter.
func TestAgesAgainstAModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		var a ages
		var m mirror
		looks := []time.Time{}
		odd := rapid.SampledFrom([]string{"none", "expires", "dead-lettered into"}).Draw(rt, "odd")
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(1, 20).Draw(rt, "seconds")) * time.Second)
			n := rapid.IntRange(0, 5).Draw(rt, "n")
			switch rapid.SampledFrom([]string{"come", "take", "ack", "odd", "look", "look"}).Draw(rt, "what") {
			case "come":
				for range n {
					m.ready, m.in = append(m.ready, now), m.in+1
				}
			case "take":
				n = min(n, len(m.ready))
				m.unacked, m.ready = append(m.unacked, m.ready[:n]...), m.ready[n:]
			case "ack":
				n = min(n, len(m.unacked))
				m.unacked, m.acked = m.unacked[n:], m.acked+int64(n)
			case "odd":
				if odd == "expires" {
					m.ready = m.ready[min(n, len(m.ready)):]
				} else if odd != "none" {
					m.ready = append(m.ready, now)
				}
			case "look":
				looks = append(looks, now)
				since, waits := a.see(now, m.told())["q"]
				if waits != (len(m.ready) > 0) {
					rt.Fatalf("%d are ready, and %v", len(m.ready), since)
				}
				if !waits {
					continue
				}
				if since.Before(m.ready[0]) {
					rt.Fatalf("the head came at %s, and is said to wait since %s", m.ready[0], since)
				}
				if first := firstBehind(looks, m.ready[0]); odd == "none" && since.After(first) {
					rt.Fatalf("the head came at %s and was seen at %s, and is said to wait since %s", m.ready[0], first, since)
				}
			}
		}
	})
}

func firstBehind(looks []time.Time, at time.Time) time.Time {
	for _, look := range looks {
		if !look.Before(at) {
			return look
		}
	}
	return time.Time{}
}

// A backlog of hours is kept in few samples; a broker that starts anew begins anew.
func TestAgesAreBounded(t *testing.T) {
	t.Parallel()
	var a ages
	var m mirror
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var since time.Time
	for i := range 5 * ageSamples {
		m.ready, m.in = append(m.ready, began), m.in+1
		since = a.see(began.Add(time.Duration(i)*10*time.Second), m.told())["q"]
	}
	if n := len(a.queues["q"]); !since.Equal(began) || n > ageSamples {
		t.Errorf("it waits since %s, by %d samples", since, n)
	}
	anew := mirror{ready: m.ready[:1], in: 0}
	at := began.Add(24 * time.Hour)
	if since := a.see(at, anew.told())["q"]; !since.Equal(at) {
		t.Errorf("after the broker's start it waits since %s", since)
	}
	if a.see(at, nil); len(a.queues) != 0 {
		t.Error("a queue that is gone is remembered")
	}
}
