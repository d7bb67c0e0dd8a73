package suite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cupline/cupline/bench/internal/bare"
	"github.com/cupline/cupline/bench/internal/crowd"
	"github.com/cupline/cupline/bench/internal/platform"
	"github.com/cupline/cupline/bench/internal/report"
	"github.com/cupline/cupline/bench/internal/usage"
	"github.com/cupline/cupline/local/services"
	"github.com/cupline/cupline/schema/topology"
)

// sockets measures idle clients, and the storm.
func sockets(ctx context.Context, b *bench) ([]report.Figure, error) {
	var found findings
	for i, clients := range b.cfg.Sizes.Sockets {
		if err := b.idle(ctx, &found, fmt.Sprintf("idle-%d", i), clients, 1); err != nil {
			return found, err
		}
	}
	for i, clients := range b.cfg.Sizes.Shared {
		if err := b.idle(ctx, &found, fmt.Sprintf("shared-%d", i), clients, 2); err != nil {
			return found, err
		}
	}
	return found, b.storm(ctx, &found)
}

// pushers starts further ones, which forget a lost client at once unless told otherwise. The caller ends them.
func (b *bench) pushers(ctx context.Context, name string, count int, own map[string]string) ([]*platform.Member, error) {
	var members []*platform.Member
	for i := range count {
		m, err := b.platform.Launch(ctx, services.Pusher, fmt.Sprintf("%s-%d", name, i), own)
		if err != nil {
			return nil, errors.Join(err, b.end(ctx, members))
		}
		members = append(members, m)
	}
	return members, nil
}

func (b *bench) end(ctx context.Context, members []*platform.Member) error {
	ctx = context.WithoutCancel(ctx) // also when the bench is being ended
	var err error
	for _, m := range members {
		err = errors.Join(err, b.platform.End(ctx, m), b.forgetSlot(ctx, m))
	}
	return err
}

// forgetSlot deletes what a pusher that is gone for good leaves on the broker: a queue that goes on taking a copy of all that comes for its
// clients, and gives it to their mailboxes 10 s later. The trials that follow would store those, and their clients get them first.
func (b *bench) forgetSlot(ctx context.Context, m *platform.Member) error {
	if m.Program != services.Pusher {
		return nil
	}
	return bare.Remove(context.WithoutCancel(ctx), b.platform.BrokerURL(), topology.PushQueue(m.Name))
}

// briefly are the settings of a pusher whose clients do not come back.
func briefly() map[string]string {
	return map[string]string{"CUPLINE_RECONNECT_WINDOW": "0s", "CUPLINE_DRAIN": "0s"}
}

func addresses(members []*platform.Member) []string {
	var all []string
	for _, m := range members {
		all = append(all, m.Socket())
	}
	return all
}

// idle holds so many clients on so many pushers, and weighs them.
func (b *bench) idle(ctx context.Context, found *findings, name string, clients, pushers int) (err error) {
	if _, err := b.platform.Crowd(ctx, clients); err != nil {
		return err
	}
	members, err := b.pushers(ctx, name, pushers, briefly())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.end(ctx, members)) }()
	before, tablesBefore, err := b.weigh(ctx, members)
	if err != nil {
		return err
	}
	group, took, err := b.crowd(ctx, 0, clients, 0, addresses(members))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, group.Stop()) }()
	after, tables, err := b.weigh(ctx, members)
	if err != nil {
		return err
	}
	if n := group.News(); n.Online != clients || n.Lost > 0 {
		return fmt.Errorf("%d of %d clients are online, %d connections were lost: %s", n.Online, clients, n.Lost, n.Failure)
	}
	at := clientsOf(clients)
	if pushers > 1 {
		at += fmt.Sprintf(" on %d pushers", pushers)
	}
	found.add("pusher's RSS per idle connection", at, float64(after-before)/float64(clients)/1024, "KiB")
	found.add("connects", at, float64(clients)/took.Seconds(), "per s")
	found.add("broker's tables per binding", at, float64(tables-tablesBefore)/float64(clients), "B")
	return nil
}

// weigh is the members' resident memory together, and that of the broker's tables.
func (b *bench) weigh(ctx context.Context, members []*platform.Member) (resident, tables int64, err error) {
	for _, m := range members {
		size, err := usage.Resident(m.PID())
		if err != nil {
			return 0, 0, err
		}
		resident += size
	}
	tables, err = b.platform.BindingTables(ctx)
	return resident, tables, err
}

// storm kills one of two pushers with all clients on them.
func (b *bench) storm(ctx context.Context, found *findings) (err error) {
	clients := b.cfg.Sizes.Storm
	members, err := b.pushers(ctx, "storm", 2, map[string]string{"CUPLINE_DRAIN": "0s"})
	if err != nil {
		return err
	}
	left := members
	defer func() { err = errors.Join(err, b.end(ctx, left)) }()
	group, _, err := b.crowd(ctx, 0, clients, 0, addresses(members))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, group.Stop()) }()
	ctx, cancel := context.WithTimeout(ctx, onlineLimit)
	defer cancel()
	began := time.Now()
	left = members[1:]
	if err := b.platform.Crash(members[0]); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.forgetSlot(ctx, members[0])) }()
	// Each program's clients take turns at the pushers: half of them, or all but half, had the one that is gone.
	lost, err := group.Wait(ctx, func(n crowd.News) bool { return n.Lost >= clients/2-programs(clients) })
	if err != nil {
		return fmt.Errorf("the killed pusher's clients: %w", err)
	}
	if _, err := group.Wait(ctx, func(n crowd.News) bool { return n.Online == clients }); err != nil {
		return fmt.Errorf("the storm: %w", err)
	}
	at := thousands(clients) + " clients on 2 pushers"
	found.add("all online again after a pusher is killed", at, time.Since(began).Seconds(), "s")
	found.add("of them lost their connection", at, float64(lost.Lost), "clients")
	return nil
}
