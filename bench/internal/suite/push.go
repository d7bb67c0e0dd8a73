package suite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cupline/cupline/bench/internal/crowd"
	"github.com/cupline/cupline/bench/internal/measure"
	"github.com/cupline/cupline/bench/internal/outcomes"
	"github.com/cupline/cupline/bench/internal/platform"
	"github.com/cupline/cupline/bench/internal/report"
)

const (
	// inFlight is the most outcomes that are published and not yet with their clients, and perClient of each. With those whose acks are
	// on their way a pusher holds less than half of its prefetch: past that the oldest go to the mailbox after half a second's stall,
	// and come twice.
	inFlight, perClient = 1536, 48
	// stubborn is what the slow client lets go by between two acks: longer than its window lasts, and shorter than the 5 s after
	// which what is unacked would be taken back.
	stubborn = 4 * time.Second
	// slowPairs is how often the slow client is tried against none.
	slowPairs = 3
)

// pushing publishes outcomes as dispatchers do, to more and more clients.
func pushing(ctx context.Context, b *bench) ([]report.Figure, error) {
	var found findings
	for i, clients := range b.cfg.Sizes.Push {
		if _, err := b.push(ctx, &found, fmt.Sprintf("push-%d", i), clients); err != nil {
			return found, err
		}
	}
	return found, nil
}

// push is as fast as clients take them. It returns the rate.
func (b *bench) push(ctx context.Context, found *findings, name string, clients int) (float64, error) {
	reading, latencies, err := b.publish(ctx, name, clients, 0, 0)
	if err != nil {
		return 0, err
	}
	at := clientsOf(clients)
	found.add("outcomes", at, reading.Rate(), "per s")
	found.add("p50", at, ms(crowd.Percentile(latencies, 50)), "ms")
	found.add("p99", at, ms(crowd.Percentile(latencies, 99)), "ms")
	for _, name := range []string{"broker", "database", "pusher"} {
		found.add("CPU per 1,000 of the "+name, at, reading.PerThousand(measure.Platform, name), "CPU-s")
	}
	return reading.Rate(), nil
}

// publish runs one load of outcomes, at a rate or, with 0, as fast as they are taken. Latencies are those of all but slow clients.
func (b *bench) publish(ctx context.Context, name string, clients, slow int, rate float64) (reading measure.Reading, latencies map[int]int64, err error) {
	// What clients of a load before had not acked would come first.
	if err := b.platform.Empty(ctx); err != nil {
		return reading, nil, err
	}
	pushers := (clients + mostSockets - 1) / mostSockets
	members, err := b.pushers(ctx, name, pushers, briefly())
	if err != nil {
		return reading, nil, err
	}
	defer func() { err = errors.Join(err, b.end(ctx, members)) }()
	b.outcomes += 1 << 40 // ids of their own
	group, _, err := b.crowd(ctx, b.outcomes, clients, slow, addresses(members))
	if err != nil {
		return reading, nil, err
	}
	defer func() { err = errors.Join(err, group.Stop()) }()
	run := outcomes.New(outcomes.Config{
		Broker: b.platform.BrokerURL(), Group: group, Tenant: platform.Tenant, Client: platform.CrowdClient, Clients: clients,
		First: b.outcomes, InFlight: min(inFlight, perClient*clients), Rate: rate, Limit: int64(b.cfg.Limit),
	})
	if b.accounts, err = b.platform.Accounts(); err != nil {
		return reading, nil, err
	}
	if reading, err = measure.Take(ctx, run, b.accounts, b.window()); err != nil {
		return reading, nil, err
	}
	return reading, run.Latencies(), nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// slowOne holds the latency of many clients against that of the same with a slow one among them, in turns.
func slowOne(ctx context.Context, b *bench) ([]report.Figure, error) {
	var found findings
	clients := b.cfg.Sizes.SlowAmong
	rate, err := b.push(ctx, &found, "slow-ceiling", clients)
	if err != nil {
		return found, err
	}
	var without, with []float64
	for pair := range slowPairs {
		for _, slow := range []int{pair % 2, 1 - pair%2} {
			_, latencies, err := b.publish(ctx, fmt.Sprintf("slow-%d-%d", pair, slow), clients, slow, rate/2)
			if err != nil {
				return found, err
			}
			p99 := ms(crowd.Percentile(latencies, 99))
			if slow == 0 {
				without = append(without, p99)
			} else {
				with = append(with, p99)
			}
		}
	}
	at := fmt.Sprintf("%s clients, %s/s", thousands(clients), report.Whole(rate/2))
	found.add("p99 without a slow client", at, report.Median(without), "ms")
	found.add("p99 of the others beside a slow client", at, report.Median(with), "ms")
	found.add("of that without", at, report.Median(with)/report.Median(without), "×")
	return found, nil
}
