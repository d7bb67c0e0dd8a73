package crowd

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
)

// newsPause lies between two looks for news: what waits for them waits no longer.
const newsPause = 2 * time.Millisecond

// Run is the crowd's program: it reads orders and tokens, connects, and says what is new until its input or ctx ends.
func Run(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	orders, tokens, err := readOrders(lines)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	all := newClients(orders)
	var speaking sync.WaitGroup
	say := speaker(out)
	speaking.Go(func() { every(ctx, newsPause, func() { say(all.changes) }) })
	for _, pause := range pauses(orders) {
		speaking.Go(func() {
			every(ctx, pause, func() {
				for _, c := range all.ackers(pause) {
					c.ack()
				}
			})
		})
	}
	for i, token := range tokens {
		c := &client{all: all, token: token, slow: i < orders.Slow}
		all.serving.Go(func() { c.run(ctx, i) })
	}
	for lines.Scan() {
		if lines.Text() == "report" {
			say(all.report)
		}
	}
	cancel()
	all.serving.Wait()
	speaking.Wait()
	return lines.Err()
}

func pauses(orders Orders) []time.Duration {
	if orders.Slow == 0 || orders.SlowPause == orders.AckPause {
		return []time.Duration{orders.AckPause}
	}
	return []time.Duration{orders.AckPause, orders.SlowPause}
}

func readOrders(lines *bufio.Scanner) (orders Orders, tokens []string, err error) {
	if !lines.Scan() {
		return orders, nil, fmt.Errorf("a crowd needs orders")
	}
	if err := json.Unmarshal(lines.Bytes(), &orders); err != nil {
		return orders, nil, fmt.Errorf("read the orders: %w", err)
	}
	if len(orders.Targets) == 0 || orders.Dialling < 1 || orders.Window < 1 || orders.AckPause <= 0 || orders.Slow > 0 && orders.SlowPause <= 0 {
		return orders, nil, fmt.Errorf("orders need targets, and pauses and numbers above 0")
	}
	for lines.Scan() && lines.Text() != "" {
		tokens = append(tokens, lines.Text())
	}
	return orders, tokens, lines.Err()
}

// speaker writes what look finds, one line at a time, and nothing when there is nothing to say. It looks when it has its turn: news that
// were overtaken by others would be the last ones, and what they lack would never come.
func speaker(out io.Writer) func(look func() (News, bool)) {
	var mu sync.Mutex
	return func(look func() (News, bool)) {
		mu.Lock()
		defer mu.Unlock()
		n, some := look()
		if !some {
			return
		}
		line, _ := json.Marshal(n)           // numbers and a string cannot fail
		_, _ = out.Write(append(line, '\n')) // the input ends when nobody reads any more
	}
}

// every calls f after each pause until ctx ends.
func every(ctx context.Context, pause time.Duration, f func()) {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			f()
		case <-ctx.Done():
			return
		}
	}
}
