package load

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/verify/history"
)

// Manner is how a client takes its outcomes.
type Manner string

// The manners of clients. All listen in the end.
const (
	// Online holds one socket.
	Online Manner = "online"
	// Flapping comes and goes, to another pusher each time.
	Flapping Manner = "flapping"
	// Slow takes its time over each outcome, sometimes longer than the platform waits.
	Slow Manner = "slow"
	// Offline is not there until the end.
	Offline Manner = "offline"
	// Polling has no socket: it asks for its mailbox.
	Polling Manner = "polling"
)

// receiver takes the outcomes of one client.
type receiver struct {
	tenant, client string
	manner         Manner
	pushers        []*cupline.Client // one for each pusher
	api            *cupline.Client
	log            *history.Log
	random         *rand.Rand
	news           func() // something has come
	calm           <-chan struct{}
}

// run takes outcomes in the client's manner until calm is closed, then as a good client
// does, until ctx is done.
func (r *receiver) run(ctx context.Context) {
	switch r.manner {
	case Polling:
		r.poll(ctx)
		return
	case Flapping:
		for next := 0; !isClosed(r.calm) && ctx.Err() == nil; next++ {
			r.listen(ctx, next, r.upTo(4*time.Second), r.calm)
			wait(ctx, r.upTo(2*time.Second), r.calm)
		}
	case Offline:
		wait(ctx, 0, r.calm)
	case Online, Slow:
	}
	for next := 0; ctx.Err() == nil; next++ {
		// A listener ends by itself only when the platform sent it away, which is noted.
		r.listen(ctx, next, 0, nil)
		wait(ctx, time.Second, nil)
	}
}

// listen holds a listener for a time, 0 being no limit, or until stop is closed.
func (r *receiver) listen(ctx context.Context, pusher int, limit time.Duration, stop <-chan struct{}) {
	listener, err := r.pushers[pusher%len(r.pushers)].Listen(cupline.ListenConfig{
		Handle: r.take, MinWait: 50 * time.Millisecond, MaxWait: time.Second,
		Remember: 1, // copies are to be seen
	})
	if err != nil {
		r.gaveUp(err)
		return
	}
	var over <-chan time.Time
	if limit > 0 {
		over = time.After(limit)
	}
	select {
	case <-ctx.Done():
	case <-over:
	case <-stop:
	case <-listener.Done():
	}
	ended := listener.Err()
	if err := errors.Join(ended, listener.Close()); err != nil {
		r.gaveUp(err)
	}
}

func (r *receiver) gaveUp(err error) {
	r.log.Add(history.Event{Kind: history.GaveUp, Tenant: r.tenant, Client: r.client, Detail: err.Error()})
}

func (r *receiver) take(ctx context.Context, o cupline.Outcome) error {
	r.note(o)
	if r.manner == Slow {
		pause := 100 * time.Millisecond
		if o.CommandID[len(o.CommandID)-1] == '0' { // one in sixteen
			pause = 2 * time.Second
		}
		wait(ctx, pause, r.calm)
	}
	return nil
}

// note writes an outcome down before it is acked.
func (r *receiver) note(o cupline.Outcome) {
	e := history.Event{
		Kind: history.Outcome, Tenant: r.tenant, Client: r.client, ID: string(o.ID), CommandID: o.CommandID, Redrive: o.Redrive,
		Device: o.Device, Method: o.Method, Origin: o.Origin, Source: o.Source, Response: string(o.Response),
	}
	_, err := o.Result()
	var failure *cupline.PlatformError
	if errors.As(err, &failure) {
		e.Reason, e.Executed = string(failure.Reason), string(failure.Executed)
	}
	if !json.Valid(o.Response) {
		e.Detail = "the response is no JSON"
	}
	r.log.Add(e)
	r.news()
}

// poll takes outcomes by long poll.
func (r *receiver) poll(ctx context.Context) {
	for ctx.Err() == nil {
		mailbox, err := r.api.Mailbox(ctx, 5*time.Second, 0)
		if err != nil {
			wait(ctx, 300*time.Millisecond, nil)
			continue
		}
		var ids []string
		for _, o := range mailbox.Outcomes {
			r.note(o)
			ids = append(ids, o.CommandID)
		}
		if len(ids) > 0 {
			r.ack(ctx, ids)
		}
	}
}

// ack tries for a while, as a client should: what is asked for again before it is acked comes again.
func (r *receiver) ack(ctx context.Context, ids []string) {
	const tries = 10
	for range tries {
		if r.api.AckMailbox(ctx, ids...) == nil {
			return
		}
		wait(ctx, 300*time.Millisecond, nil)
	}
}

func (r *receiver) upTo(limit time.Duration) time.Duration {
	return limit/10 + time.Duration(r.random.Int64N(int64(limit)))
}

// wait until ctx is done, stop is closed, or a time has passed; 0 is no limit.
func wait(ctx context.Context, limit time.Duration, stop <-chan struct{}) {
	var over <-chan time.Time
	if limit > 0 {
		over = time.After(limit)
	}
	select {
	case <-ctx.Done():
	case <-stop:
	case <-over:
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
