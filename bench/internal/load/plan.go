package load

import (
	"context"
	"errors"
	"time"
)

// Client is one client of the platform, with the key that it logs in with. It counts its ids through all runs: the
// platform remembers them.
type Client struct {
	ID    string
	Token string
	next  int64
}

// Inbox tells of outcomes that wait for clients which are not connected.
type Inbox interface {
	// New are the outcomes that came since it was asked last.
	New(ctx context.Context) ([]Stored, error)
}

// Stored is an outcome that waits for its client.
type Stored struct {
	Client string
	// ID is the command's, ResponseID that within the response.
	ID, ResponseID int64
	// Reason is empty for a result.
	Reason string
}

// Plan says what to offer.
type Plan struct {
	// API is host:port of the intake, Push the WebSocket addresses of the pushers, among which clients take turns. Without
	// any, no client is connected, and Inbox or AnswerIsEnd says what ends a command.
	API  string
	Push []string
	// Inbox is where the outcomes of clients that are not connected come to.
	Inbox Inbox
	// AnswerIsEnd takes the acceptance of a command for its outcome.
	AnswerIsEnd bool
	// Slow is how many of the clients let SlowPause go by between two acks.
	Slow      int
	SlowPause time.Duration
	// Clients take turns, and so do Devices; all devices of one type.
	Clients []*Client
	Devices []string
	Method  string
	// Size of one request in bytes; at least what its members need.
	Size int
	// Batch is how many requests one POST carries; 1 sends them singly, not as an array.
	Batch int
	// Workers is how many HTTP connections post; in a closed loop each has one POST's commands under way.
	Workers int
	// Window is what each client asks for: the most outcomes that it has not acked.
	Window int
	// Limit is the most commands of the run.
	Limit int
	// Rate is the commands per second of an open loop; 0 makes it a closed loop.
	Rate float64
}

func (p Plan) check() error {
	switch {
	case len(p.Clients) == 0 || len(p.Devices) == 0:
		return errors.New("a load needs clients and devices")
	case p.Batch < 1 || p.Workers < 1 || p.Window < 1 || p.Limit < p.Batch:
		return errors.New("a load needs a batch, workers, a window and a limit of 1 or more")
	case len(p.Push) == 0 && p.Inbox == nil && !p.AnswerIsEnd:
		return errors.New("a load needs sockets, an inbox, or answers that are the end")
	case p.Slow < 0 || p.Slow > len(p.Clients):
		return errors.New("a load cannot have more slow clients than clients")
	case p.Rate < 0:
		return errors.New("a load's rate cannot be negative")
	}
	return nil
}

// due is when the nth POST of an open loop is due, since the first.
func (p Plan) due(n int64) time.Duration {
	return time.Duration(float64(n) * float64(p.Batch) / p.Rate * float64(time.Second))
}
