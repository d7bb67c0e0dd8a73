package suite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cupline/cupline/bench/internal/crowd"
	"github.com/cupline/cupline/bench/internal/report"
)

// drain has clients fetch what waits in their mailboxes.
func drain(ctx context.Context, b *bench) ([]report.Figure, error) {
	var found findings
	for i, clients := range b.cfg.Sizes.MailboxClients {
		if err := b.fetch(ctx, &found, fmt.Sprintf("drain-%d", i), clients); err != nil {
			return found, errors.Join(err, b.platform.Empty(context.WithoutCancel(ctx)))
		}
	}
	return found, b.platform.Empty(ctx)
}

// fetch fills the mailboxes of so many clients, and counts from when they are told to connect until they have it all.
func (b *bench) fetch(ctx context.Context, found *findings, name string, clients int) (err error) {
	rows := b.cfg.Sizes.Mailbox
	if _, err := b.platform.Crowd(ctx, clients); err != nil {
		return err
	}
	if err := b.platform.Empty(ctx); err != nil {
		return err
	}
	fmt.Fprintf(b.cfg.Progress, "filling mailboxes with %s outcomes\n", thousands(rows))
	if err := b.platform.FillMailboxes(ctx, 1, rows, clients); err != nil {
		return err
	}
	members, err := b.pushers(ctx, name, 1, briefly())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.end(ctx, members)) }()
	began := time.Now()
	group, _, err := b.crowd(ctx, 0, clients, 0, addresses(members))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, group.Stop()) }()
	// A hundred a second would be a failure to tell of, and not to wait for.
	ctx, cancel := context.WithTimeout(ctx, onlineLimit+time.Duration(rows)*10*time.Millisecond)
	defer cancel()
	got, err := group.Wait(ctx, func(n crowd.News) bool { return n.Got >= int64(rows) })
	if err != nil {
		return err
	}
	if got.Doubled > 0 || got.Wrong > 0 || got.Lost > 0 {
		return fmt.Errorf("%d outcomes came twice, %d cannot be read, %d connections were lost: %s", got.Doubled, got.Wrong, got.Lost, got.Failure)
	}
	at := thousands(rows) + " outcomes to " + clientsOf(clients)
	found.add("mailbox drained", at, float64(rows)/time.Since(began).Seconds(), "per s")
	return nil
}
