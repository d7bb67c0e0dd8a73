// Package wheel looks after very many deadlines with one ticker: a hashed timing wheel
// (Varghese and Lauck, 1987). A deadline costs 40 bytes inside of whatever has it, no
// goroutine, no allocation and no runtime timer, and is met late by up to two ticks.
package wheel

import (
	"context"
	"sync"
	"time"
)

// Task is what wants to be looked at when its time has come.
type Task interface {
	// Fire is called on the wheel's goroutine, with none of its locks held, and must not
	// block: everyone else's deadlines wait meanwhile. It returns when it wants to be
	// looked at next; zero is never.
	Fire(now time.Time) time.Time
}

// Timer is a task's place on a wheel. The zero value is ready; it must not be copied
// after its first use, and stays with one task and one wheel.
type Timer struct {
	task       Task
	at         int64 // the tick at which it is due
	prev, next *Timer
}

// buckets is how many ticks go round the wheel; later deadlines wait for another round.
const buckets = 1024

// Wheel fires timers. It is safe for concurrent use.
type Wheel struct {
	tick  time.Duration
	start time.Time

	mu    sync.Mutex     // guards the rest, and what timers hold
	now   int64          // the last tick that was handled
	heads [buckets]Timer // heads of rings

	stop chan struct{}
	done chan struct{}
}

// New makes a wheel whose deadlines are met to within two ticks.
func New(tick time.Duration) *Wheel {
	w := &Wheel{tick: tick, start: time.Now(), stop: make(chan struct{}), done: make(chan struct{})}
	for i := range w.heads {
		w.heads[i].prev, w.heads[i].next = &w.heads[i], &w.heads[i]
	}
	return w
}

// Start turns the wheel until Stop.
func (w *Wheel) Start(context.Context) error {
	go w.run()
	return nil
}

// Stop ends the wheel once the task that is being fired has returned. Timers that are
// set later are never fired. Stop must follow Start, and may be called once.
func (w *Wheel) Stop(ctx context.Context) error {
	close(w.stop)
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (w *Wheel) run() {
	defer close(w.done)
	ticker := time.NewTicker(w.tick)
	defer ticker.Stop()
	for {
		select {
		case <-w.stop:
			return
		case now := <-ticker.C:
			w.turn(now)
		}
	}
}

// Set has task fired at that time, or at an earlier one that was set before.
func (w *Wheel) Set(t *Timer, task Task, at time.Time) {
	// Rounded up: never early.
	due := int64((at.Sub(w.start) + w.tick - 1) / w.tick)
	w.mu.Lock()
	defer w.mu.Unlock()
	due = max(due, w.now+1)
	if t.next != nil {
		if t.at <= due {
			return
		}
		t.unlink()
	}
	t.task, t.at = task, due
	t.link(&w.heads[due%buckets])
}

// Clear takes the timer off the wheel. A Fire that has begun is not waited for, and what
// it returns still counts: a task that is over returns zero.
func (w *Wheel) Clear(t *Timer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.next != nil {
		t.unlink()
	}
}

// turn fires what is due up to now. Ticks that the ticker dropped are made up for.
func (w *Wheel) turn(now time.Time) {
	target := int64(now.Sub(w.start) / w.tick)
	var due Timer
	for {
		w.mu.Lock()
		if w.now >= target {
			w.mu.Unlock()
			return
		}
		w.now++
		due.prev, due.next = &due, &due
		w.collect(w.now, &due)
		w.mu.Unlock()
		w.fire(&due, now)
	}
}

// collect moves the timers that are due at this tick into a ring of their own.
func (w *Wheel) collect(tick int64, due *Timer) {
	head := &w.heads[tick%buckets]
	for t := head.next; t != head; {
		following := t.next
		if t.at <= tick {
			t.unlink()
			t.link(due)
		}
		t = following
	}
}

func (w *Wheel) fire(due *Timer, now time.Time) {
	for {
		w.mu.Lock()
		t := due.next
		if t == due {
			w.mu.Unlock()
			return
		}
		t.unlink()
		task := t.task
		w.mu.Unlock()
		if next := task.Fire(now); !next.IsZero() {
			w.Set(t, task, next)
		}
	}
}

func (t *Timer) link(head *Timer) {
	t.prev, t.next = head.prev, head
	head.prev.next = t
	head.prev = t
}

func (t *Timer) unlink() {
	t.prev.next, t.next.prev = t.next, t.prev
	t.prev, t.next = nil, nil
}
