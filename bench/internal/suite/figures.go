package suite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cupline/cupline/bench/internal/crowd"
	"github.com/cupline/cupline/bench/internal/report"
)

const (
	// onlineLimit bounds the wait for a crowd: 36,000 bindings at some 500 a second on a loaded machine.
	onlineLimit = 5 * time.Minute
	// perProgram is the most clients of one of the crowd's programs, each of which has an address with some 28,000 ports.
	perProgram = 9000
	// ackPause gathers a client's acks.
	ackPause = 5 * time.Millisecond
	// dialling is how many of a program's clients connect at once.
	dialling = 64
)

// findings are a trial's figures so far.
type findings []report.Figure

func (f *findings) add(what, at string, value float64, unit string) {
	*f = append(*f, report.Figure{What: what, At: at, Value: value, Unit: unit})
}

// thousands writes a number for the reader.
func thousands(n int) string { return report.Whole(float64(n)) }

// crowd starts clients that listen on the given pushers, and returns when all are online. slow of them ack rarely.
func (b *bench) crowd(ctx context.Context, first int64, clients, slow int, targets []string) (*crowd.Group, time.Duration, error) {
	tokens, err := b.platform.Crowd(ctx, clients)
	if err != nil {
		return nil, 0, err
	}
	orders := crowd.Orders{
		Targets: targets, Dialling: dialling, Window: b.cfg.Window, AckPause: ackPause, Slow: slow, SlowPause: stubborn,
		First: first,
	}
	ctx, cancel := context.WithTimeout(ctx, onlineLimit)
	defer cancel()
	began := time.Now()
	group, err := crowd.Start(ctx, b.platform.Program("crowd"), orders, tokens, programs(clients))
	if err != nil {
		return nil, 0, err
	}
	if _, err := group.Wait(ctx, func(n crowd.News) bool { return n.Online == clients }); err != nil {
		return nil, 0, errors.Join(fmt.Errorf("%d clients did not come online: %w", clients, err), group.Stop())
	}
	return group, time.Since(began), nil
}

// programs is how many the clients are spread over: two at least where there is more than one client, as no two clients
// should depend on one program's speed.
func programs(clients int) int {
	if clients < 2 {
		return 1
	}
	return max(2, (clients+perProgram-1)/perProgram)
}

// clientsOf is a number of clients for the reader.
func clientsOf(n int) string {
	if n == 1 {
		return "1 client"
	}
	return thousands(n) + " clients"
}
