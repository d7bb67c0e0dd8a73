// Package history is what a run of load wrote down: everything that clients sent
// and received, devices executed and faults broke, and what the database and the broker held
// at the end. It is kept as JSON lines, so that a run can be looked at, and checked again,
// afterwards.
package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"
)

// Kind says what an event is, and so which of its fields count.
type Kind string

// The kinds of events.
const (
	// Run says what run this is: Name its seed, Count the broker's nodes, Detail is Alone when its faults came one
	// after the other.
	Run Kind = "run"
	// Post is one POST of a client with the answer that it got.
	Post Kind = "post"
	// Outcome came into a client's hands, by socket or from its mailbox; copies too.
	Outcome Kind = "outcome"
	// Execution is one start of a command on a device.
	Execution Kind = "execution"
	// Action is what an operator did with the dead letter of a command, with the answer that it
	// got: Name is redrive, job or discard, Detail the reason that was given.
	Action Kind = "action"
	// Fault was injected: Name says on what, Of what kind of thing that is, Detail what, Took how long. Tenant, Client and Device
	// say whose it was alone, or Lane; without a Tenant and a Lane it was everybody's.
	Fault Kind = "fault"
	// GaveUp is a client's listener that the platform ended for good; Detail says why.
	GaveUp Kind = "gave_up"

	// Ledger is a row of the ledger at the end.
	Ledger Kind = "ledger"
	// Mailbox is a row of the mailbox at the end; Delivered when it was acked.
	Mailbox Kind = "mailbox"
	// Letter is a dead letter at the end; Name is its state, As the command that it was sent
	// again as and Redrive that one's number, Detail why.
	Letter Kind = "letter"
	// Audit is an entry of the audit trail; Name is its stage.
	Audit Kind = "audit"
	// Queue is a queue of the broker at the end: Count messages, Stuck of them dead letters
	// that were not dead-lettered.
	Queue Kind = "queue"
	// Binding is a client's binding that is left though no client is connected.
	Binding Kind = "binding"
	// Slot is one that is left though its pusher was retired for good.
	Slot Kind = "slot"
	// Unseen says that the run could not look at all of a kind; Name is the kind.
	Unseen Kind = "unseen"
	// Census counts what may leak: Name says what, Before how many there were at first, Count at the end.
	Census Kind = "census"
	// Helped is what had to be done to the broker by hand: Name says to which node, Detail what.
	Helped Kind = "helped"
	// Service is one of ours after healing: Took until it was ready, Detail when it never was.
	Service Kind = "service"
)

// Answers to a post.
const (
	Accepted = "accepted"
	Refused  = "refused"
	InDoubt  = "in_doubt"
)

// Alone says of a run that no two faults were mixed.
const Alone = "alone"

// The reasons that operators give for a redrive: whether it includes what may have been executed.
const (
	WithMaybe    = "once more, also what may have been executed"
	WithoutMaybe = "once more"
)

// Event is one line of the history.
type Event struct {
	At     time.Time `json:"at"`
	Kind   Kind      `json:"kind"`
	Tenant string    `json:"tenant,omitempty"`
	Client string    `json:"client,omitempty"`
	// ID is the client's own id as the bytes it sent; empty for one-way commands.
	ID        string `json:"id,omitempty"`
	CommandID string `json:"command_id,omitempty"`
	Redrive   int    `json:"redrive,omitempty"`
	// As is the command id of a redrive.
	As     string `json:"as,omitempty"`
	Device string `json:"device,omitempty"`
	Method string `json:"method,omitempty"`
	// Lane of a post's device.
	Lane string `json:"lane,omitempty"`
	// Tag is unique for each body that a client made up; devices hand it back.
	Tag        string `json:"tag,omitempty"`
	Idempotent bool   `json:"idempotent,omitempty"`
	OneWay     bool   `json:"one_way,omitempty"`
	// Answer is Accepted, Refused or InDoubt, and Status the HTTP status behind it, 0 for none.
	Answer string        `json:"answer,omitempty"`
	Status int           `json:"status,omitempty"`
	Took   time.Duration `json:"took_ns,omitempty"`
	// TTL is the time-to-live that a command is to have, Expires when that ends as the client was told.
	TTL     time.Duration `json:"ttl_ns,omitempty"`
	Expires time.Time     `json:"expires,omitzero"`
	// Origin, Source, Reason and Executed are the outcome's words; Response its bytes.
	Origin    string `json:"origin,omitempty"`
	Source    string `json:"source,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Executed  string `json:"executed,omitempty"`
	Response  string `json:"response,omitempty"`
	Decided   bool   `json:"decided,omitempty"`
	Delivered bool   `json:"delivered,omitempty"`
	Name      string `json:"name,omitempty"`
	Of        string `json:"of,omitempty"`
	Count     int    `json:"count,omitempty"`
	Stuck     int    `json:"stuck,omitempty"`
	Before    int    `json:"before,omitempty"`
	Detail    string `json:"detail,omitempty"`
}

// Log takes events from any goroutine, and writes them to a file as they come.
type Log struct {
	mu     sync.Mutex
	file   *os.File
	lines  *bufio.Writer
	events []Event
	err    error
}

// InMemory starts a history that is kept in memory only.
func InMemory() *Log { return &Log{} }

// Create starts a history in a new file.
func Create(path string) (*Log, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create the history: %w", err)
	}
	return &Log{file: file, lines: bufio.NewWriter(file)}, nil
}

// Add notes an event as of now, unless it brings its own time.
func (l *Log) Add(e Event) {
	if e.At.IsZero() {
		e.At = time.Now()
	}
	line, err := json.Marshal(e)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
	if err == nil && l.lines != nil {
		_, err = l.lines.Write(append(line, '\n'))
	}
	if l.err == nil {
		l.err = err
	}
}

// Events so far.
func (l *Log) Events() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events)
}

// Close finishes the file. The error is the first that writing it met.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return l.err
	}
	if err := errors.Join(l.err, l.lines.Flush(), l.file.Close()); err != nil {
		return fmt.Errorf("write the history: %w", err)
	}
	return nil
}

// Read a history back.
func Read(from io.Reader) ([]Event, error) {
	var events []Event
	for decoder := json.NewDecoder(from); ; {
		var e Event
		switch err := decoder.Decode(&e); {
		case errors.Is(err, io.EOF):
			return events, nil
		case err != nil:
			return events, fmt.Errorf("read event %d of the history: %w", len(events)+1, err)
		}
		events = append(events, e)
	}
}
