package suite

import (
	"context"
	"time"

	"github.com/cupline/cupline/bench/internal/bare"
	"github.com/cupline/cupline/bench/internal/load"
	"github.com/cupline/cupline/bench/internal/platform"
	"github.com/cupline/cupline/bench/internal/report"
)

// slowPause is what a slow client lets go by between two acks: its window of outcomes a second is all it takes.
const slowPause = time.Second

// Case is something that is measured.
type Case struct {
	Name string
	// About is a line for the reader.
	About string
	// bare makes the configuration of a bare pipeline; nil for the platform.
	bare func(url string) bare.Config
	// echo is the front of the yardstick alone: a handler that publishes with confirm.
	echo bool
	// kind of device that the commands are for.
	kind  platform.Kind
	batch int
	// offline connects no client; slow has half of them ack rarely.
	offline, slow bool
	// trial is a case that is no commands in a loop, and has figures of its own.
	trial func(context.Context, *bench) ([]report.Figure, error)
	// long keeps a case out of the default bench, apart also out of "all".
	long, apart bool
	// ceiling names the case whose ceiling a latency case's shares are of; empty for a case at its own ceiling.
	ceiling string
}

// Apart tells whether "all" leaves the case out.
func (c Case) Apart() bool { return c.apart }

// Long tells whether the default bench leaves the case out.
func (c Case) Long() bool { return c.long }

// Cases are all that there are.
func Cases() []Case { return cases() }

func cases() []Case {
	return []Case{
		{Name: report.Plain, About: "two hops on amqp091-go alone: publish window 512, prefetch 256, each ack by itself", bare: bare.Plain},
		{Name: "tuned", About: "the same with window and prefetch 1,024 and acks in runs of 64", bare: bare.Tuned},
		{Name: "echo", About: "an Echo handler that publishes 256 bytes with confirm and does nothing else, on amqp091-go alone", echo: true, batch: 1},
		{Name: "swift", About: "POST to outcome frame: no-op driver, idempotent method, ledger off", kind: platform.Swift, batch: 1},
		{Name: "ledger", About: "no-op driver, method not idempotent, ledger on", kind: platform.Ledger, batch: 1},
		{Name: "mqtt", About: "devices over MQTT, ledger on", kind: platform.MQTT, batch: 1},
		{Name: "http", About: "devices over HTTP, ledger on", kind: platform.HTTP, batch: 1},
		{Name: "batch", About: "batches of 50, no-op driver, ledger on", kind: platform.Ledger, batch: batchSize},
		{Name: "offline", About: "ledger with no client connected: from POST to the row in the mailbox", kind: platform.Ledger, batch: 1, offline: true},
		{Name: "slow", About: "ledger with half of the clients slow: they ack once a second", kind: platform.Ledger, batch: 1, slow: true},
		{Name: "latency-plain", About: "latency of the plain bare pipeline at the rates of latency-ledger: what broker and library take alone", bare: bare.Plain, ceiling: "ledger"},
		{Name: "latency-ledger", About: "latency of ledger at the given rates", kind: platform.Ledger, batch: 1, ceiling: "ledger"},
		{Name: "latency-mqtt", About: "latency of mqtt at the given rates", kind: platform.MQTT, batch: 1, ceiling: "mqtt"},
		{Name: "sockets", About: "idle clients on one pusher and on two: memory, connects a second, and the storm after a kill", trial: sockets, long: true},
		{Name: "push", About: "outcomes a second to 1 and many clients that ack", trial: pushing, long: true},
		{Name: "push-slow", About: "what one slow client does to the others' latency", trial: slowOne, long: true},
		{Name: "drain", About: "a full mailbox fetched by one client and by many", trial: drain, long: true},
		{Name: "scale", About: "ledger with 1, 2 and 4 dispatchers and pushers", trial: scale, long: true},
		{Name: "backlog", About: "a backlog worked off while intake goes on", trial: backlog, long: true},
		{Name: "growth", About: "what a command costs as devices, clients and dead letters grow", trial: growth, long: true},
		{Name: "start", About: "make up, cold and warm", trial: starting, long: true},
		{Name: "tests", About: "make test, by part; only when named", trial: tests, long: true, apart: true},
	}
}

// order is one round of the cases at their ceiling: each between two runs of plain, if that is measured. Every second
// round goes backwards.
func order(chosen []Case, round int) []Case {
	var plain *Case
	var rest []Case
	for _, c := range chosen {
		switch {
		case c.ceiling != "" || c.trial != nil:
		case c.Name == report.Plain:
			plain = &c
		default:
			rest = append(rest, c)
		}
	}
	if round%2 == 1 {
		for i, j := 0, len(rest)-1; i < j; i, j = i+1, j-1 {
			rest[i], rest[j] = rest[j], rest[i]
		}
	}
	if plain == nil {
		return rest
	}
	sequence := []Case{*plain}
	for _, c := range rest {
		sequence = append(sequence, c, *plain)
	}
	return sequence
}

// ratios fills in what each run of a round is of the plain runs just before and after it.
func ratios(runs []report.Run) {
	for i := range runs {
		if runs[i].Problem != "" || runs[i].Case == report.Plain {
			continue
		}
		var sum, n float64
		for _, j := range []int{i - 1, i + 1} {
			if j >= 0 && j < len(runs) && runs[j].Case == report.Plain && runs[j].Problem == "" {
				sum += runs[j].Reading.Rate()
				n++
			}
		}
		if sum > 0 {
			runs[i].Ratio = runs[i].Reading.Rate() / (sum / n)
		}
	}
}

// plan is what the platform's clients offer for a case.
func (c Config) plan(p *platform.Platform, one Case) load.Plan {
	plan := load.Plan{
		API: p.API, Push: p.Pushers(), Clients: p.Clients, Devices: p.Devices(one.kind), Method: platform.Method,
		Size: c.Size, Batch: one.batch, Workers: c.Workers, Window: c.Window, Limit: c.Limit,
	}
	if one.offline {
		plan.Push, plan.Inbox = nil, p.Inbox()
	}
	if one.slow {
		plan.Slow, plan.SlowPause = c.Clients/2, slowPause
	}
	if one.batch > 1 {
		// About as many commands under way as without batches, and no device asked for more than one batch.
		plan.Workers = min(max(2*c.Workers/one.batch, 1), c.Devices)
	}
	return plan
}
