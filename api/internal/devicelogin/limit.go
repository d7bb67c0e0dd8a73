package devicelogin

import (
	"sync"
	"time"
)

// Limit slows down guessing: after a number of refusals of one name within a window, that name is refused without a
// look until the window ends. It is per process, and so is what it costs: a device with a wrong password asks the
// database no more often than that.
type Limit struct {
	refusals int
	window   time.Duration
	now      func() time.Time

	mu    sync.Mutex // guards the rest
	names map[string]*count
	swept time.Time
}

type count struct {
	began    time.Time
	refusals int
}

// maxNames bounds what is remembered: past it, until the next sweep, further names are not limited.
const maxNames = 100_000

// NewLimit allows so many refusals of one name in each window; now may be nil for this machine's clock.
func NewLimit(refusals int, window time.Duration, now func() time.Time) *Limit {
	if now == nil {
		now = time.Now
	}
	return &Limit{refusals: refusals, window: window, now: now, names: map[string]*count{}}
}

// Allow tells whether a log-in of the name is to be looked at.
func (l *Limit) Allow(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.names[name]
	return c == nil || c.refusals < l.refusals || l.now().Sub(c.began) >= l.window
}

// Failed notes a refusal.
func (l *Limit) Failed(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if now.Sub(l.swept) >= l.window {
		l.swept = now
		for name, c := range l.names {
			if now.Sub(c.began) >= l.window {
				delete(l.names, name)
			}
		}
	}
	c := l.names[name]
	switch {
	case c != nil && now.Sub(c.began) < l.window:
		c.refusals++
	case c != nil || len(l.names) < maxNames:
		l.names[name] = &count{began: now, refusals: 1}
	}
}
