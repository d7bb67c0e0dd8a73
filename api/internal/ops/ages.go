package ops

import (
	"sync"
	"time"
)

// counted is a queue's figures at one moment.
type counted struct {
	at time.Time
	// in is how many messages were ever published to it, held how many ever were in it: those that were acked, and those that are in
	// it. Neither is whole: in misses what the broker dead-lettered into the queue, held what expired in it.
	in, held int64
}

const (
	// ageStep is the least time between two samples, ageSamples how many are kept of a queue: past that every other one of the
	// older half goes.
	ageStep    = time.Second
	ageSamples = 512
)

// ages finds out for how long the message at a queue's head has waited at least. No release of the broker tells that of
// quorum queues, and looking at the message would count as a delivery. But a queue is first in, first out: with n messages
// ready and in ever published, the one at the head is number in - n, and was there by the first sample that had counted more.
type ages struct {
	mu     sync.Mutex // guards queues
	queues map[string][]counted
}

// see takes a picture's figures, and returns since when each queue's head waits at least; nothing for one that is empty.
func (a *ages) see(now time.Time, all []told) map[string]time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.queues
	a.queues = make(map[string][]counted, len(all)) // those that are gone are forgotten
	since := map[string]time.Time{}
	for i := range all {
		t := &all[i]
		c := counted{at: now, in: t.Stats.Published, held: t.Stats.Acked + t.Unacked + t.Ready}
		samples := remember(before[t.Name], c)
		a.queues[t.Name] = samples
		if t.Ready > 0 {
			since[t.Name] = waits(samples, c, t.Ready)
		}
	}
	return since
}

// remember adds a sample. A count that falls by more than what expires was begun anew, with the broker: then all before is of no use.
func remember(samples []counted, c counted) []counted {
	if n := len(samples); n > 0 {
		last := samples[n-1]
		if c.in < last.in || c.held == 0 && last.held > 0 {
			samples = nil
		} else if c.at.Sub(last.at) < ageStep {
			return samples
		}
	}
	if len(samples) >= ageSamples {
		half, kept := len(samples)/2, 0
		for i := 0; i < half; i += 2 {
			samples[kept] = samples[i]
			kept++
		}
		samples = append(samples[:kept], samples[half:]...)
	}
	return append(samples, c)
}

// waits is the later of what the two counts say: each errs towards the past only.
func waits(samples []counted, now counted, ready int64) time.Time {
	byIn, byHeld := now.at, now.at
	for i := len(samples) - 1; i >= 0; i-- {
		if samples[i].in > now.in-ready {
			byIn = samples[i].at
		}
		if samples[i].held > now.held-ready {
			byHeld = samples[i].at
		}
	}
	if byIn.After(byHeld) && now.in > 0 {
		return byIn
	}
	return byHeld
}
