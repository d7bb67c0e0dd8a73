package cupline

import (
	"context"
	"fmt"
	"time"

	"github.com/cupline/cupline/schema/push"
)

// handle hands outcomes over one at a time and acks them in runs, until the session ends
// or the handler fails.
func (s *session) handle(ctx context.Context, stop context.CancelCauseFunc) {
	run := ackRun{session: s, since: time.Now()}
	// What was handled is acked even when the session is over: the line may still be there.
	defer run.flush()
	for {
		select {
		case <-ctx.Done():
			s.handleRest(&run)
			return
		default:
		}
		select {
		case <-ctx.Done():
		case it := <-s.queue:
			if err := s.settle(ctx, it); err != nil {
				stop(err)
				return
			}
			run.add(it.seq)
		}
	}
}

// handleRest acks what needs no handler, up to the first outcome that does: an answered
// Call may be what ended the session. The queue is closed once the reader is done.
func (s *session) handleRest(run *ackRun) {
	for it := range s.queue {
		if !it.claimed && !s.listener.seen.has(it.outcome.CommandID) {
			return
		}
		s.listener.seen.add(it.outcome.CommandID)
		run.add(it.seq)
	}
}

// settle makes sure that the outcome was handed over once.
func (s *session) settle(ctx context.Context, it item) error {
	seen := s.listener.seen
	if seen.has(it.outcome.CommandID) {
		return nil
	}
	if !it.claimed {
		if err := s.listener.cfg.Handle(ctx, it.outcome); err != nil {
			return fmt.Errorf("handle the outcome of command %s: %w", it.outcome.CommandID, err)
		}
	}
	seen.add(it.outcome.CommandID)
	return nil
}

// ackRun gathers handled outcomes into one ack, which counts for all up to its seq.
type ackRun struct {
	session *session
	seq     uint64
	size    int
	since   time.Time // of the last ack
}

func (r *ackRun) add(seq uint64) {
	r.seq, r.size = seq, r.size+1
	part := max(r.session.listener.cfg.Window/ackPart, 1)
	if len(r.session.queue) == 0 || r.size >= part || time.Since(r.since) >= ackEvery {
		r.flush()
	}
}

func (r *ackRun) flush() {
	if r.size == 0 {
		return
	}
	r.size, r.since = 0, time.Now()
	r.session.write(push.ClientFrame{Type: push.TypeAck, Seq: r.seq})
}
