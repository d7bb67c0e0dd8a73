package cupline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/cupline/cupline/schema/push"
)

const (
	writeLimit = 10 * time.Second
	// ackEvery and ackPart say when handled outcomes are acked while more are waiting: well
	// within the 5 s after which the platform holds a client for slow, and before a part of
	// the window is used up. With none waiting they are acked at once.
	ackEvery = 200 * time.Millisecond
	ackPart  = 4
	// minRenewal is the shortest wait between fetches of tokens, for a source whose tokens have ended already.
	minRenewal = time.Second
	// maxDrain bounds what a drain may ask to wait.
	maxDrain = 10 * time.Minute
)

var (
	errDrained        = errors.New("the platform asked to connect anew")
	errListenerClosed = errors.New("the listener is closed")
)

// session is one connection. Its reader runs on the listener's goroutine, its handler and
// what renews its token on ones of their own that the reader's end waits for.
type session struct {
	listener *Listener
	socket   *websocket.Conn
	writing  sync.Mutex // one writer at a time
	queue    chan item
	welcome  push.Welcome
	since    time.Time // of welcome
}

// item is an outcome on its way to the handler; claimed ones went to a Call.
type item struct {
	seq     uint64
	outcome Outcome
	claimed bool
}

func (s *session) run(ctx context.Context, previous string) ending {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer func() { _ = s.socket.Close() }() // it may be gone already
	// What ends the session ends the read: a past deadline does it without cutting the
	// line, over which the last ack still has to go.
	unhook := context.AfterFunc(ctx, func() { _ = s.socket.SetReadDeadline(time.Unix(1, 0)) })
	defer unhook()

	handled := make(chan struct{})
	go func() {
		defer close(handled)
		s.handle(ctx, cancel)
	}()
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		s.renew(ctx)
	}()
	err := s.read(ctx, cancel, previous)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	cancel(err)
	close(s.queue)
	<-handled
	<-renewed
	return s.end(err)
}

// renew hands new tokens over before the old ones end. A fetch that fails is no loss: the connection ends with its token,
// and the next attempt fetches again.
func (s *session) renew(ctx context.Context) {
	for {
		at := s.listener.client.tokens.renewAt()
		if at.IsZero() {
			return
		}
		timer := time.NewTimer(max(time.Until(at), minRenewal))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		token, err := s.listener.client.tokens.fetch(ctx)
		if err != nil {
			return
		}
		s.write(push.ClientFrame{Type: push.TypeAuth, Token: token})
	}
}

// end tells what the session's last error means for the next one.
func (s *session) end(err error) ending {
	end := ending{advice: push.Resume, err: err, session: s.welcome.Session}
	if s.welcome.Session != "" {
		end.lasted = time.Since(s.since)
	}
	var closed *websocket.CloseError
	switch {
	case errors.As(err, &closed):
		code := push.CloseCode(closed.Code)
		end.advice = code.Advice()
		end.err = &CloseError{Code: code, Reason: closed.Text}
		end.drained = code == push.Drained
	case errors.Is(err, errDrained):
		end.drained = true
		s.goodbye(websocket.CloseServiceRestart)
	default:
		s.goodbye(websocket.CloseNormalClosure)
	}
	return end
}

// goodbye is a courtesy: the platform hands unacked outcomes back at once, not at a timeout.
func (s *session) goodbye(code int) {
	message := websocket.FormatCloseMessage(code, "")
	_ = s.socket.WriteControl(websocket.CloseMessage, message, time.Now().Add(time.Second))
}

// write sends a frame. That it fails is for the reader to notice: what it reads then may
// be the close code that tells why.
func (s *session) write(f push.ClientFrame) {
	s.writing.Lock()
	defer s.writing.Unlock()
	_ = s.socket.SetWriteDeadline(time.Now().Add(writeLimit))
	_ = s.socket.WriteMessage(websocket.TextMessage, f.Line())
}

// read says hello and takes frames until the connection ends.
func (s *session) read(ctx context.Context, stop context.CancelCauseFunc, previous string) error {
	s.write(push.ClientFrame{Type: push.TypeHello, Session: previous, Window: s.listener.cfg.Window})
	drain := &drainTimer{stop: stop}
	defer drain.cancel()
	patience := welcomeLimit
	for {
		if err := s.socket.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		// The hook in run may have come just before the line above.
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		_, message, err := s.socket.ReadMessage()
		if err != nil {
			return err
		}
		for line := range bytes.SplitSeq(message, []byte{'\n'}) {
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			if err := s.take(ctx, line, drain); err != nil {
				return err
			}
		}
		if s.welcome.Ping > 0 {
			// Two pings missed, and some.
			patience = 2*time.Duration(s.welcome.Ping)*time.Second + 5*time.Second
		}
	}
}

// incoming is an outcome, or the type of whatever else came.
type incoming struct {
	Type string `json:"type"`
	Seq  uint64 `json:"seq"`
	Outcome
}

// take acts on one frame. Types that it does not know are for later versions.
func (s *session) take(ctx context.Context, line []byte, drain *drainTimer) error {
	var f incoming
	if err := json.Unmarshal(line, &f); err != nil {
		return fmt.Errorf("read a frame: %w", err)
	}
	switch f.Type {
	case push.TypeOutcome:
		return s.enqueue(ctx, item{seq: f.Seq, outcome: f.Outcome, claimed: s.listener.calls.claim(f.Outcome)})
	case push.TypePing:
		s.write(push.ClientFrame{Type: push.TypePong})
	case push.TypeWelcome:
		if err := json.Unmarshal(line, &s.welcome); err != nil {
			return fmt.Errorf("read welcome: %w", err)
		}
		s.since = time.Now()
		s.listener.status.welcomed(s.welcome)
	case push.TypeLag:
		var lag push.Lag
		if err := json.Unmarshal(line, &lag); err != nil {
			return fmt.Errorf("read lag: %w", err)
		}
		s.listener.status.lag(lag)
	case push.TypeDrain:
		var asked push.Drain
		if err := json.Unmarshal(line, &asked); err != nil {
			return fmt.Errorf("read drain: %w", err)
		}
		drain.start(time.Duration(asked.In) * time.Millisecond)
	case push.TypeError:
		var told push.Error
		if err := json.Unmarshal(line, &told); err != nil {
			return fmt.Errorf("read error: %w", err)
		}
		s.listener.status.told(told)
	}
	return nil
}

// enqueue waits for room, which there is unless the platform sends more than the window. An
// outcome that a Call has taken goes in even when the session is ending: it is to be acked.
func (s *session) enqueue(ctx context.Context, it item) error {
	select {
	case s.queue <- it:
		return nil
	default:
	}
	select {
	case s.queue <- it:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// drainTimer ends the session at the moment that the platform chose.
type drainTimer struct {
	stop  context.CancelCauseFunc
	timer *time.Timer
}

func (d *drainTimer) start(in time.Duration) {
	if d.timer == nil {
		d.timer = time.AfterFunc(min(max(in, 0), maxDrain), func() { d.stop(errDrained) })
	}
}

func (d *drainTimer) cancel() {
	if d.timer != nil {
		d.timer.Stop()
	}
}
