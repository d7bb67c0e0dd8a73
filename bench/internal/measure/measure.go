// Package measure takes the figures of one run: how much was done in a window of time, at what cost to whom.
package measure

import (
	"context"
	"fmt"
	"time"

	"github.com/cupline/cupline/bench/internal/usage"
)

// Load is work that can be offered for a while.
type Load interface {
	// Start begins to offer work, and returns when the first of it is on its way.
	Start(ctx context.Context) error
	// Done is how many pieces of work have been finished so far. It is safe for concurrent use.
	Done() int64
	// Over is closed when there is no more to offer before Stop was called: the run's limit is reached, or the load broke.
	Over() <-chan struct{}
	// Stop offers no more, waits until all that was offered has come to its end, or ctx ends, and gives
	// everything back. The error says what broke, was lost, or came twice.
	Stop(ctx context.Context) error
}

// Role of a process in a run.
type Role string

// The platform's cost is what counts; the load's is told apart.
const (
	Platform Role = "platform"
	Driving  Role = "load"
)

// Account is a process tree to whom cost is charged.
type Account struct {
	usage.Tree
	Role Role
}

// Window is the time of a run that counts.
type Window struct {
	// Warmup goes before it.
	Warmup time.Duration
	// Length is how long it lasts; less when the load is over before.
	Length time.Duration
	// Least is how many pieces of work it is to hold: it goes on beyond Length until they are done, but no longer than Drain.
	Least int64
	// Drain bounds what comes after it: the end of all that was offered.
	Drain time.Duration
}

// Cost is what one account spent in the window.
type Cost struct {
	Name string        `json:"name"`
	Role Role          `json:"role"`
	CPU  time.Duration `json:"cpu_ns"`
	// Memory at the window's end: proportional set size, bytes.
	Memory int64 `json:"memory_bytes"`
}

// Reading is what one run gave.
type Reading struct {
	// From and To are the window as it came out; Done was finished within it.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	Done int64     `json:"done"`
	// Costs stand in the order of the accounts.
	Costs []Cost `json:"costs"`
	// Others is the CPU time of all processes that are not charged, Stolen what the machine's host took away: how much
	// the figures were disturbed.
	Others time.Duration `json:"others_cpu_ns"`
	Stolen time.Duration `json:"stolen_ns"`
}

// Rate is pieces of work per second.
func (r Reading) Rate() float64 {
	seconds := r.To.Sub(r.From).Seconds()
	if seconds <= 0 {
		return 0
	}
	return float64(r.Done) / seconds
}

// PerThousand is the CPU-seconds that accounts of the role spent on 1,000 pieces of work; those of a name, when one is given.
func (r Reading) PerThousand(role Role, name string) float64 {
	if r.Done == 0 {
		return 0
	}
	var spent time.Duration
	for _, c := range r.Costs {
		if c.Role == role && (name == "" || c.Name == name) {
			spent += c.CPU
		}
	}
	return spent.Seconds() * 1000 / float64(r.Done)
}

// Take runs the load and reads its window. The reading is of use only when the error is nil.
func Take(ctx context.Context, load Load, accounts []Account, window Window) (Reading, error) {
	if err := load.Start(ctx); err != nil {
		return Reading{}, fmt.Errorf("start the load: %w", err)
	}
	reading, err := read(ctx, load, accounts, window)
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), window.Drain)
	defer cancel()
	// What the load says of itself explains a window that came to nothing.
	if broken := load.Stop(draining); broken != nil {
		return Reading{}, broken
	}
	return reading, err
}

func read(ctx context.Context, load Load, accounts []Account, window Window) (Reading, error) {
	if over, err := wait(ctx, load, window.Warmup); err != nil || over {
		return Reading{}, orTooSoon(err)
	}
	before, err := look(load, accounts)
	if err != nil {
		return Reading{}, err
	}
	if _, err := wait(ctx, load, window.Length); err != nil {
		return Reading{}, err
	}
	if err := goOn(ctx, load, before.done, window); err != nil {
		return Reading{}, err
	}
	after, err := look(load, accounts)
	if err != nil {
		return Reading{}, err
	}
	return between(before, after, accounts)
}

func orTooSoon(err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("the load was over before it was warm: allow more commands, or a shorter warm-up")
}

// wait returns after a while, or as soon as the load is over.
func wait(ctx context.Context, load Load, while time.Duration) (over bool, err error) {
	timer := time.NewTimer(while)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false, nil
	case <-load.Over():
		return true, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// goOn returns when the window that began with so much done holds its least, or will not: what it lacks shows in its figures then.
func goOn(ctx context.Context, load Load, done int64, window Window) error {
	if window.Least == 0 {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, window.Drain)
	defer cancel()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for load.Done()-done < window.Least {
		select {
		case <-look.C:
		case <-load.Over():
			return nil
		case <-limited.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// moment is all counters at one time.
type moment struct {
	at           time.Time
	done         int64
	cpu          []time.Duration
	busy, stolen time.Duration
}

func look(load Load, accounts []Account) (moment, error) {
	m := moment{at: time.Now(), done: load.Done(), cpu: make([]time.Duration, len(accounts))}
	var err error
	if m.busy, m.stolen, err = usage.Busy(); err != nil {
		return moment{}, err
	}
	for i, account := range accounts {
		if m.cpu[i], err = account.CPU(); err != nil {
			return moment{}, err
		}
	}
	return m, nil
}

func between(before, after moment, accounts []Account) (Reading, error) {
	r := Reading{
		From: before.at, To: after.at, Done: after.done - before.done,
		Others: after.busy - before.busy, Stolen: after.stolen - before.stolen,
	}
	for i, account := range accounts {
		memory, err := account.Memory()
		if err != nil {
			return Reading{}, err
		}
		spent := after.cpu[i] - before.cpu[i]
		r.Others -= spent
		r.Costs = append(r.Costs, Cost{Name: account.Name, Role: account.Role, CPU: spent, Memory: memory})
	}
	r.Others = max(r.Others, 0)
	return r, nil
}
