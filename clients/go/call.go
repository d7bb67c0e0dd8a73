package cupline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/outcome"
)

// Call sends a command and waits for its outcome. The error is Send's, or wraps that of
// ctx when the outcome did not come in time; it then goes to the handler when it comes. What
// the outcome says, a failure included, is for Outcome.Result.
func (l *Listener) Call(ctx context.Context, device, method string, params any, opts SendOptions) (Outcome, error) {
	call, err := l.Begin(ctx, device, method, params, opts)
	if err != nil {
		return Outcome{}, err
	}
	defer call.Forget()
	return call.Wait(ctx)
}

// Call is a command that was accepted, and whose outcome is waited for.
type Call struct {
	Accepted Accepted

	listener       *Listener
	key            string // of the client's id
	device, method string
	commandID      string        // empty until accepted; guarded by the book's mu
	outcome        Outcome       // written before answered is closed
	answered       chan struct{} // closed under the book's mu
}

// Begin sends a command and returns once it was accepted. Its outcome is kept for Wait, and
// does not go to the handler, until Forget, which every Begin needs.
func (l *Listener) Begin(ctx context.Context, device, method string, params any, opts SendOptions) (*Call, error) {
	if opts.OneWay {
		return nil, fmt.Errorf("call %s: %w: a one-way command has no outcome to wait for", method, ErrRefused)
	}
	body, err := command(method, params, opts)
	if err != nil {
		return nil, fmt.Errorf("call %s: %w: %w", method, ErrRefused, err)
	}
	request, err := jsonrpc.ParseRequest(body)
	if err != nil {
		return nil, fmt.Errorf("call %s: %w: %w", method, ErrRefused, err)
	}
	call := &Call{
		listener: l, key: request.ID.Key, device: device, method: method, answered: make(chan struct{}),
	}
	// Before the request goes out: the outcome may be quicker than the 202.
	l.calls.add(call)
	call.Accepted, err = l.client.SendRaw(ctx, device, body, opts.TTL)
	switch {
	case err == nil:
		l.calls.accepted(call, call.Accepted.CommandID)
	case errors.Is(err, ErrInDoubt) && call.came():
		// Nobody said so, but it was accepted.
		call.Accepted = Accepted{ID: call.outcome.ID, CommandID: call.outcome.CommandID}
	default:
		call.Forget()
		return nil, err
	}
	return call, nil
}

// Wait returns the outcome, again when called again. Its error wraps that of ctx, or says
// that the listener ended; the call still stands then.
func (c *Call) Wait(ctx context.Context) (Outcome, error) {
	var err error
	select {
	case <-c.answered:
		return c.outcome, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-c.listener.done:
		err = errListenerClosed
	}
	if c.came() {
		return c.outcome, nil
	}
	return Outcome{}, fmt.Errorf("wait for the outcome of command %s, which was accepted: %w", c.Accepted.CommandID, err)
}

// Forget ends the call: an outcome that comes later goes to the handler.
func (c *Call) Forget() { c.listener.calls.remove(c) }

func (c *Call) came() bool {
	select {
	case <-c.answered:
		return true
	default:
		return false
	}
}

// answeredBy tells whether the outcome is this call's: by command id, else by the client's
// id on the same device and method, which is how a repeated post is answered while the
// first is open. A duplicate_id speaks of the one post that it names.
func (c *Call) answeredBy(o Outcome, key string) bool {
	if c.commandID != "" && c.commandID == o.CommandID {
		return true
	}
	if c.key != key || c.device != o.Device || c.method != o.Method || o.Redrive != 0 {
		return false
	}
	return c.commandID == "" || !o.isDuplicateID()
}

func (o Outcome) isDuplicateID() bool {
	_, err := o.Result()
	var failure *PlatformError
	return errors.As(err, &failure) && failure.Reason == outcome.DuplicateID
}

// callBook holds the calls that wait, by the client's id. mu guards waiting and every
// call's commandID.
type callBook struct {
	mu      sync.Mutex
	waiting map[string][]*Call
}

func newCallBook() *callBook { return &callBook{waiting: map[string][]*Call{}} }

func (b *callBook) add(c *Call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting[c.key] = append(b.waiting[c.key], c)
}

func (b *callBook) accepted(c *Call, commandID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.commandID = commandID
}

// remove may be called twice.
func (b *callBook) remove(c *Call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rest := slices.DeleteFunc(b.waiting[c.key], func(other *Call) bool { return other == c })
	if len(rest) == 0 {
		delete(b.waiting, c.key)
		return
	}
	b.waiting[c.key] = rest
}

// claim gives the outcome to every call that it answers; false when there is none.
func (b *callBook) claim(o Outcome) bool {
	id, err := jsonrpc.ParseID(o.ID)
	if err != nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	claimed := false
	for _, c := range b.waiting[id.Key] {
		if !c.answeredBy(o, id.Key) {
			continue
		}
		claimed = true
		if !c.came() { // else this is a copy
			c.outcome = o
			close(c.answered)
		}
	}
	return claimed
}
