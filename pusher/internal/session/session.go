package session

import (
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/cupline/cupline/pusher/internal/wheel"
	"github.com/cupline/cupline/schema/push"
)

// Close codes of RFC 6455, 7.4.1, for ends that are nobody's fault.
const normalClosure push.CloseCode = 1000

type state uint8

const (
	greeting state = iota // no hello yet
	joining               // hello came; not bound yet
	open                  // welcomed
	ended
)

// Session is one connection. It is safe for concurrent use.
type Session struct {
	id    string
	cfg   *Config
	out   Transport
	timer wheel.Timer

	mu      sync.Mutex
	state   state
	lagging bool
	pinged  bool
	stalled bool
	owed    bool   // mail was left unread because the window was full
	token   string // from the handshake, until hello
	from    string // the client's address
	abort   func() // ends hello's waits; nil but during hello
	who     Principal
	expires time.Time // on this machine's clock; zero is never
	window  Window
	recent  recent
	ahead   int           // outcomes that will be acked while the mailbox is read, by what was seen last
	frames  *rate.Limiter // nil: no limit

	began     time.Time
	heard     time.Time // the last frame of the client
	pingAt    time.Time
	acked     time.Time // the last ack
	lagSince  time.Time
	lookAt    time.Time // when lagging asks for its mail again
	announced time.Time // the last announcement of mail
	drainAt   time.Time // zero unless draining
}

// frameBurst is how many seconds' worth of frames may come at once.
const frameBurst = 10

// New makes the session of a fresh connection, which owes hello.
func New(cfg *Config, out Transport, caller Caller) *Session {
	now := cfg.Now()
	s := &Session{
		id: uuid.NewString(), cfg: cfg, out: out, token: caller.Token, from: caller.Address, began: now, heard: now,
		window: Window{MaxOutcomes: cfg.Limits.Window, MaxBytes: cfg.Limits.WindowBytes},
	}
	if r := cfg.Limits.FrameRate; r > 0 {
		s.frames = rate.NewLimiter(rate.Limit(r), max(int(r*frameBurst), 1))
	}
	cfg.Wheel.Set(&s.timer, s, now.Add(cfg.Limits.Hello))
	return s
}

// ID names the session, for a client that comes back.
func (s *Session) ID() string { return s.id }

// Who is the session's principal, from Join on. It never changes but for KeyID and Expires.
func (s *Session) Who() Principal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.who
}

// Lost ends the session because its socket is gone.
func (s *Session) Lost() { s.end(0, true) }

// End closes the session with a code. The client's place is kept for its return.
func (s *Session) End(code push.CloseCode) { s.end(code, true) }

// LetGo ends a session that the client has left for another.
func (s *Session) LetGo() { s.end(normalClosure, false) }

func (s *Session) end(code push.CloseCode, keep bool) {
	s.mu.Lock()
	if s.state == ended {
		s.mu.Unlock()
		return
	}
	s.state = ended
	entries, who := s.window.Clear(), s.who
	s.recent = recent{}
	if s.abort != nil {
		s.abort()
	}
	s.mu.Unlock()
	if code != 0 {
		s.out.Close(code)
	}
	for _, e := range entries {
		if e.Live {
			e.Item.Release(SocketLost)
		}
	}
	s.cfg.Wheel.Clear(&s.timer)
	s.cfg.Hub.Leave(s, keep)
	s.cfg.Observer.Ended(code)
	if code != 0 && code != normalClosure {
		s.cfg.Log.Debug("session closed", zap.String("session", s.id), zap.String("tenant", who.Tenant),
			zap.String("client", who.Client), zap.Int("code", int(code)), zap.String("reason", code.Reason()))
	}
}

// Drain asks the client to connect anew after in, and closes the session some time later.
func (s *Session) Drain(in, closeAfter time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == ended {
		return
	}
	s.drainAt = s.cfg.Now().Add(closeAfter)
	if s.state == open {
		s.out.Send(push.Encode(push.TypeDrain, push.Drain{In: in.Milliseconds()}))
	}
	s.cfg.Wheel.Set(&s.timer, s, s.drainAt)
}

// Revoked ends the session when it stands on that key.
func (s *Session) Revoked(tenant, keyID string) {
	if who := s.Who(); who.KeyID == keyID && who.Tenant == tenant {
		s.end(push.Revoked, false)
	}
}
