package cupline

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// States of a command in the ledger.
const (
	CommandOpen    = "open"
	CommandDecided = "decided"
)

// Command is what the ledger says of one command.
type Command struct {
	ID        json.RawMessage `json:"id"`
	CommandID string          `json:"command_id"`
	Redrive   int             `json:"redrive"`
	Device    string          `json:"device"`
	Method    string          `json:"method"`
	Lane      string          `json:"lane"`
	// State is CommandOpen until its outcome stands, then CommandDecided.
	State    string    `json:"state"`
	Accepted time.Time `json:"accepted_at"`
	Expires  time.Time `json:"expires_at"`
	// Started is zero when no worker ever started it; Decided and Delivered (acked by the
	// client) until they are.
	Started   time.Time `json:"started_at,omitzero"`
	Decided   time.Time `json:"decided_at,omitzero"`
	Delivered time.Time `json:"delivered_at,omitzero"`
	// Origin and Response are those of the outcome; empty while the command is open.
	Origin   string          `json:"origin,omitempty"`
	Response json.RawMessage `json:"response,omitempty"`
}

// Outcome is the command's outcome; false while it is open.
func (c Command) Outcome() (Outcome, bool) {
	return Outcome{
		ID: c.ID, CommandID: c.CommandID, Redrive: c.Redrive, Device: c.Device, Method: c.Method,
		At: c.Decided, Origin: c.Origin, Response: c.Response,
	}, c.State == CommandDecided
}

const commandsPath = "/v1/commands"

// Command asks the ledger for one command. ErrNotFound means not started yet, never
// accepted, or forgotten.
func (c *Client) Command(ctx context.Context, commandID string) (command Command, err error) {
	if _, err := uuid.Parse(commandID); err != nil {
		return command, fmt.Errorf("look for command %q: %w: %w", commandID, ErrRefused, err)
	}
	err = c.do(ctx, request{method: http.MethodGet, path: commandsPath + "/" + commandID}, &command)
	return command, err
}

// Commands asks the ledger for the commands of one of this client's ids, a JSON string or
// integer: its own post first, then the redrives. ErrNotFound is as for Command.
func (c *Client) Commands(ctx context.Context, id json.RawMessage) ([]Command, error) {
	var answer struct {
		Commands []Command `json:"commands"`
	}
	query := map[string]string{"id": string(id)}
	err := c.do(ctx, request{method: http.MethodGet, path: commandsPath, query: query}, &answer)
	return answer.Commands, err
}

// Mailbox is what waits for a client that holds no connection.
type Mailbox struct {
	// Outcomes, oldest first. They stay until they are acked.
	Outcomes []Outcome `json:"outcomes"`
	// Waiting counts all, these included.
	Waiting int64 `json:"waiting"`
}

// Limits of the mailbox's calls.
const (
	maxMailboxPage = 256
	maxAckPage     = 256
)

// Mailbox reads the oldest waiting outcomes, up to limit (1 to 256; 0 is 64) of them, and waits
// up to wait (60 s at most) for the first when there is none.
func (c *Client) Mailbox(ctx context.Context, wait time.Duration, limit int) (m Mailbox, err error) {
	r := request{method: http.MethodGet, path: "/v1/mailbox", wait: max(wait, 0), query: map[string]string{}}
	if wait > 0 {
		r.query["wait"] = wait.String()
	}
	if limit > 0 {
		r.query["limit"] = strconv.Itoa(min(limit, maxMailboxPage))
	}
	err = c.do(ctx, r, &m)
	return m, err
}

// AckMailbox says that outcomes were received: they do not come again, by any way. Acking
// again, or what is not there, changes nothing.
func (c *Client) AckMailbox(ctx context.Context, commandIDs ...string) error {
	for ids := range slices.Chunk(commandIDs, maxAckPage) {
		body, err := json.Marshal(map[string][]string{"command_ids": ids})
		if err != nil {
			return fmt.Errorf("ack outcomes: %w", err)
		}
		if err := c.do(ctx, request{method: http.MethodPost, path: "/v1/mailbox/ack", body: body}, nil); err != nil {
			return err
		}
	}
	return nil
}
