package session

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/pusher/internal/wheel"
	"github.com/cupline/cupline/schema/push"
)

// Principal is who a token stands for.
type Principal struct {
	Tenant string
	Client string
	KeyID  string
	// Expires in database time; zero means never.
	Expires time.Time
}

// What a Verifier answers, asked with errors.Is. Any other error means that nobody can tell now.
var (
	ErrBadToken  = errors.New("bad token")
	ErrRevoked   = errors.New("key revoked")
	ErrForbidden = errors.New("the key may not receive outcomes")
	// ErrLimited says that too many log-ins from there failed.
	ErrLimited = errors.New("too many failed log-ins")
)

// Caller is what a connection came with.
type Caller struct {
	// Token from the handshake, or empty.
	Token string
	// Address that it came from, for the record of failed log-ins.
	Address string
}

// Verifier tells who a token stands for.
type Verifier interface {
	// Verify may use a token up. from is the address that it came from.
	Verify(ctx context.Context, token, from string) (Principal, error)
	// Recheck tells whether what Verify said holds still.
	Recheck(ctx context.Context, who Principal) error
}

// What Hub.Join answers, asked with errors.Is.
var (
	ErrTooMany  = errors.New("too many connections of this client")
	ErrDraining = errors.New("this pusher is draining")
	ErrNotBound = errors.New("the broker did not bind the client in time")
)

// Hub knows who is connected.
type Hub interface {
	// Join returns once the client is bound. old is a session the client had before, or
	// empty: whoever has it lets go of it.
	Join(ctx context.Context, s *Session, old string) error
	// Leave ends what Join began, and may be called without it. The client stays bound for
	// a while when keep is true and it was its last session.
	Leave(s *Session, keep bool)
	// Mail asks for a look into the client's mailbox. It does not block.
	Mail(s *Session)
}

// Mailbox counts what waits for a client, and what was refused for its quota.
type Mailbox interface {
	Counts(ctx context.Context, tenant, client string) (waiting, missed int64, err error)
}

// Receipts takes note of acked outcomes that keep no delivery waiting: those from the
// mailbox, and live ones that were given up before. It does not block.
type Receipts interface {
	Acked(it *Item)
}

// Transport carries frames to one client. Neither method blocks. A transport whose queue
// is past its bound, or whose line is dead, ends by itself, which its owner tells with Session.Lost.
type Transport interface {
	// Send queues one frame, a JSON object on one line, and keeps the slice.
	Send(frame []byte)
	// Close sends what is queued, then the code, and ends.
	Close(code push.CloseCode)
}

// Observer counts; it never blocks.
type Observer interface {
	Pushed(source string)
	// Acked outcomes came live or from the mailbox, as source says.
	Acked(it *Item, source string)
	LagEntered(cause Cause)
	// Ended sessions have a code, 0 when the socket was lost.
	Ended(code push.CloseCode)
}

// Limits of every session. All must be positive.
type Limits struct {
	// Window is the most outcomes unacked, WindowBytes the most bytes; a client may ask for
	// fewer outcomes.
	Window      int
	WindowBytes int
	// Hello is due within that time of the connection, Join bounds the wait for the broker's
	// binding, and Lookup each question to Verifier and Mailbox.
	Hello, Join, Lookup time.Duration
	// Ping comes after that much silence of the client, and Pong is how long it may be silent then.
	Ping, Pong time.Duration
	// Unacked outcomes go to the mailbox after that time; a session that acks nothing at all
	// for AckTimeout is closed.
	Unacked, AckTimeout time.Duration
	// Dwell is the least time in lag, so that it does not flap.
	Dwell time.Duration
	// Reconnect is how long a lost session's place is kept; it is told in welcome.
	Reconnect time.Duration
	// FrameRate is how many frames a second a client may send, bursts of ten times as many; acks of what it was sent are
	// free. 0 is no limit.
	FrameRate float64
}

// Config is what all sessions of a process share.
type Config struct {
	Limits   Limits
	Verifier Verifier
	Hub      Hub
	Mailbox  Mailbox
	Receipts Receipts
	Observer Observer
	Wheel    *wheel.Wheel
	// Now is this machine's clock, Database the database's.
	Now, Database func() time.Time
	Log           *zap.Logger
}
