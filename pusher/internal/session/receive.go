package session

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/schema/push"
)

// Receive acts on one frame of the client; BadFrame closes for one that cannot be read.
// It is called by one goroutine at a time, and blocks during hello and auth only.
func (s *Session) Receive(ctx context.Context, f push.ClientFrame) {
	now := s.cfg.Now()
	s.mu.Lock()
	was := s.state
	s.heard, s.pinged = now, false
	s.mu.Unlock()
	switch {
	case was == ended:
	case f.Type == push.TypeAck && was != greeting:
		if s.ack(f.Seq) == 0 {
			s.spend(now, 1)
		}
	case !s.spend(now, cost(f)):
	case f.Type == push.TypeHello && was == greeting:
		s.hello(ctx, f)
	case f.Type == push.TypeHello, was == greeting:
		// A second hello, or something before the first.
		s.End(push.BadFrame)
	case f.Type == push.TypeAuth:
		s.auth(ctx, f.Token)
	case f.Type == push.TypePong:
	case f.Type == push.TypeBye:
		s.LetGo()
	case f.Type == push.TypeSubscribe, f.Type == push.TypeUnsubscribe:
		s.tell(push.Error{Code: "not_available", Message: "not available yet: events come in a later version"})
	default:
		s.tell(push.Error{Code: "unknown_type", Message: "this version does not know that type of frame"})
	}
}

// authCost is how many other frames a token counts for: a signature is checked, or the database is asked.
const authCost = 10

func cost(f push.ClientFrame) int {
	if f.Type == push.TypeAuth {
		return authCost
	}
	return 1
}

// spend counts a frame that no outcome has paid for, and ends the session when there are too many of them.
func (s *Session) spend(now time.Time, frames int) bool {
	if s.frames == nil || s.frames.AllowN(now, min(frames, s.frames.Burst())) {
		return true
	}
	s.End(push.RateLimited)
	return false
}

// Idle counts what has no frame in it: an empty message, or a ping of the WebSocket protocol. It is called as Receive is.
func (s *Session) Idle() { s.spend(s.cfg.Now(), 1) }

// BadFrame ends the session for what is no frame.
func (s *Session) BadFrame() { s.End(push.BadFrame) }

func (s *Session) tell(e push.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != ended {
		s.out.Send(push.Encode(push.TypeError, e))
	}
}

// hello authenticates, binds, waits for that, and welcomes: in this order, so that no
// outcome is lost between mailbox and binding.
func (s *Session) hello(ctx context.Context, f push.ClientFrame) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.mu.Lock()
	if s.state == ended {
		s.mu.Unlock()
		return
	}
	s.state, s.abort = joining, cancel
	token := s.token
	s.token = ""
	s.mu.Unlock()
	if f.Token != "" {
		token = f.Token
	}
	who, err := s.verify(ctx, token)
	if err != nil {
		s.End(s.refusal(err))
		return
	}
	s.identify(who, f.Window)
	if len(f.Session) != len(s.id) {
		f.Session = "" // none of ours
	}
	if err = s.join(ctx, f.Session); err == nil {
		// From Join on the hub is told of a revocation; one that came just before is found here.
		err = s.recheck(ctx, who)
	}
	if err != nil {
		s.End(s.refusal(err))
		return
	}
	waiting, missed, err := s.count(ctx, who)
	if err != nil {
		// Live outcomes need no database; the mailbox is asked again until it answers.
		s.cfg.Log.Warn("mailbox not counted", zap.String("tenant", who.Tenant), zap.String("client", who.Client), zap.Error(err))
	}
	s.welcome(waiting, missed, err == nil)
}

func (s *Session) verify(ctx context.Context, token string) (Principal, error) {
	if token == "" {
		return Principal{}, ErrBadToken
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Limits.Lookup)
	defer cancel()
	return s.cfg.Verifier.Verify(ctx, token, s.from)
}

func (s *Session) recheck(ctx context.Context, who Principal) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Limits.Lookup)
	defer cancel()
	return s.cfg.Verifier.Recheck(ctx, who)
}

func (s *Session) join(ctx context.Context, old string) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Limits.Join)
	defer cancel()
	return s.cfg.Hub.Join(ctx, s, old)
}

func (s *Session) count(ctx context.Context, who Principal) (waiting, missed int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Limits.Lookup)
	defer cancel()
	return s.cfg.Mailbox.Counts(ctx, who.Tenant, who.Client)
}

// refusal is the close code that an error of Verifier or Hub means.
func (s *Session) refusal(err error) push.CloseCode {
	switch {
	case errors.Is(err, ErrBadToken):
		return push.BadToken
	case errors.Is(err, ErrRevoked):
		return push.Revoked
	case errors.Is(err, ErrForbidden):
		return push.Forbidden
	case errors.Is(err, ErrLimited):
		return push.RateLimited
	case errors.Is(err, ErrTooMany):
		return push.TooManyConnections
	case errors.Is(err, ErrDraining):
		return push.Drained
	case errors.Is(err, ErrNotBound):
		return push.BrokerAway
	}
	if !errors.Is(err, context.Canceled) {
		s.cfg.Log.Warn("session refused", zap.Error(err))
	}
	return push.Internal
}

func (s *Session) identify(who Principal, window int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.who = who
	s.expires = s.localTime(who.Expires)
	if window > 0 {
		s.window.MaxOutcomes = min(window, s.cfg.Limits.Window)
	}
}

// localTime turns database time into this machine's.
func (s *Session) localTime(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return s.cfg.Now().Add(t.Sub(s.cfg.Database()))
}

// welcome opens the session. What waits in the mailbox comes first; without any, the
// session is live at once: what is stored from now on is announced.
func (s *Session) welcome(waiting, missed int64, counted bool) {
	s.mu.Lock()
	if s.state == ended {
		// It ended while it was joining: Hub.Leave came before Join was done.
		s.mu.Unlock()
		s.cfg.Hub.Leave(s, true)
		return
	}
	now := s.cfg.Now()
	s.state, s.abort = open, nil
	s.heard, s.acked, s.pinged = now, now, false
	s.out.Send(push.Encode(push.TypeWelcome, push.Welcome{
		Session: s.id, Client: s.who.Client, Window: s.window.MaxOutcomes,
		Ping: seconds(s.cfg.Limits.Ping), Waiting: waiting, Missed: missed,
		Reconnect: seconds(s.cfg.Limits.Reconnect),
	}))
	// An announcement may have come between the counting and now.
	mail := waiting > 0 || !counted || !s.announced.IsZero()
	if waiting > 0 {
		// Told by welcome; a lag frame says when it is over, which may be at once.
		s.lagging, s.lagSince, s.lookAt = true, now.Add(-s.cfg.Limits.Dwell), now.Add(relook)
	}
	s.cfg.Wheel.Set(&s.timer, s, s.due())
	s.mu.Unlock()
	if mail {
		s.cfg.Hub.Mail(s)
	}
}

func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// auth takes a fresh token, which must stand for the same client.
func (s *Session) auth(ctx context.Context, token string) {
	who, err := s.verify(ctx, token)
	if err != nil {
		code := s.refusal(err)
		if code == push.Internal {
			// The old one still holds.
			s.tell(push.Error{Code: "not_verified", Message: "the token cannot be checked now; send it again", Temporary: true})
			return
		}
		s.End(code)
		return
	}
	s.mu.Lock()
	same := who.Tenant == s.who.Tenant && who.Client == s.who.Client
	if same {
		s.who = who
		s.expires = s.localTime(who.Expires)
		s.cfg.Wheel.Set(&s.timer, s, s.due())
	}
	s.mu.Unlock()
	if !same {
		s.End(push.Forbidden)
	}
}
