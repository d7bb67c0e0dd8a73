package crowd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/cupline/cupline/bench/internal/child"
)

// Group is a crowd that is spread over programs.
type Group struct {
	members []*child.Child
	hearing sync.WaitGroup
	stop    context.CancelFunc

	mu      sync.Mutex // guards the rest
	news    []News     // the latest of each member
	reports []News     // what was said since Report asked
	broken  error
	changed chan struct{} // closed, and replaced, with each change
}

// Start runs the crowd's program so many times, and spreads the clients over them; it does not wait until they are online, and
// lasts until Stop. Orders' Source is chosen here: an address of the loopback network for each program.
func Start(ctx context.Context, path string, orders Orders, tokens []string, programs int) (*Group, error) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx)) // until Stop
	g := &Group{stop: stop, changed: make(chan struct{}), news: make([]News, programs)}
	for i := range programs {
		own := orders
		own.Source = fmt.Sprintf("127.0.0.%d", 2+i)
		if i > 0 {
			own.Slow = 0
		}
		// Turns begin elsewhere in each program, so that all targets get their share of few clients, too.
		shift := i % len(orders.Targets)
		own.Targets = append(append([]string(nil), orders.Targets[shift:]...), orders.Targets[:shift]...)
		if err := g.add(ctx, path, own, tokens[i*len(tokens)/programs:(i+1)*len(tokens)/programs], i); err != nil {
			return nil, errors.Join(err, g.Stop())
		}
	}
	return g, nil
}

func (g *Group) add(ctx context.Context, path string, orders Orders, tokens []string, i int) error {
	member, err := child.Start(ctx, path, nil)
	if err != nil {
		return err
	}
	g.members = append(g.members, member)
	g.hearing.Go(func() { g.hear(ctx, member, i) })
	first, err := json.Marshal(orders)
	if err != nil {
		return fmt.Errorf("write a crowd's orders: %w", err)
	}
	return member.Say(string(first) + "\n" + strings.Join(tokens, "\n") + "\n\n")
}

// hear takes what a member says, until it ends.
func (g *Group) hear(ctx context.Context, member *child.Child, i int) {
	for {
		line, err := member.Line(ctx)
		if ctx.Err() != nil {
			return
		}
		var n News
		if err == nil {
			err = json.Unmarshal([]byte(line), &n)
		}
		g.mu.Lock()
		if err != nil {
			g.broken = errors.Join(g.broken, err)
		} else {
			g.news[i] = n
			if n.Report {
				g.reports = append(g.reports, n)
			}
		}
		close(g.changed)
		g.changed = make(chan struct{})
		g.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// look is the news of all together, and what is closed with the next change.
func (g *Group) look() (sum News, changed <-chan struct{}, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, n := range g.news {
		sum.add(n)
	}
	return sum, g.changed, g.broken
}

func (n *News) add(other News) {
	n.Online, n.Lost = n.Online+other.Online, n.Lost+other.Lost
	n.Got, n.Doubled, n.Wrong = n.Got+other.Got, n.Doubled+other.Doubled, n.Wrong+other.Wrong
	n.Older += other.Older
	if n.Failure == "" {
		n.Failure = other.Failure
	}
	for s, count := range other.Latencies {
		if n.Latencies == nil {
			n.Latencies = map[int]int64{}
		}
		n.Latencies[s] += count
	}
}

// News of all together, as last heard.
func (g *Group) News() News {
	sum, _, _ := g.look()
	return sum
}

// Wait returns when what is heard satisfies. The error says what was heard last, when ctx ended before or a program did.
func (g *Group) Wait(ctx context.Context, enough func(News) bool) (News, error) {
	for {
		sum, changed, err := g.look()
		if err != nil || enough(sum) {
			return sum, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return sum, fmt.Errorf("the crowd: %d online, %d connections lost, %d outcomes, first failure %q: %w",
				sum.Online, sum.Lost, sum.Got, sum.Failure, context.Cause(ctx))
		}
	}
}

// Report asks all for what they have, with the latencies since the last report.
func (g *Group) Report(ctx context.Context) (sum News, err error) {
	g.mu.Lock()
	g.reports = nil
	g.mu.Unlock()
	for _, member := range g.members {
		if err := member.Say("report\n"); err != nil {
			return sum, err
		}
	}
	if _, err := g.Wait(ctx, func(News) bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.reports) == len(g.members)
	}); err != nil {
		return sum, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, n := range g.reports {
		sum.add(n)
	}
	return sum, nil
}

// Stop ends all programs.
func (g *Group) Stop() error {
	g.stop()
	g.hearing.Wait()
	failures := make(chan error, len(g.members))
	for _, member := range g.members {
		go func() { failures <- member.Stop() }()
	}
	var err error
	for range g.members {
		err = errors.Join(err, <-failures)
	}
	return err
}
