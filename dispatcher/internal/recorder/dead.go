package recorder

import (
	"strings"

	"github.com/google/uuid"

	"github.com/cupline/cupline/dispatcher/internal/claims"
	"github.com/cupline/cupline/dispatcher/internal/dispatch"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/ledger"
)

// dead is one message of the dead-letter queue, read as far as it can be.
type dead struct {
	letter  envelope.Letter
	command dispatch.Command
	message *message.Message
	// malformed is why it is no whole command; nil when it is one.
	malformed error
	// key would find its ledger row; the zero value when the message does not name a command.
	key ledger.Key
	// parked is set once the database has refused the letter: only the decision is left.
	parked bool
}

// read never fails: garbage is what this package is for.
func read(m *message.Message) *dead {
	d := &dead{letter: envelope.ParseLetter(m), message: m}
	d.command.Command = d.letter.Command
	d.malformed = d.letter.Malformed
	request, err := jsonrpc.ParseRequest(m.Body)
	d.command.Request = request
	if err != nil && d.malformed == nil {
		d.malformed = err
	}
	d.command.Digest = d.letter.Command.Digest()
	c := &d.command
	if err == nil && c.ID != uuid.Nil && c.Tenant != "" && c.Client != "" {
		d.key = claims.Key(c)
	}
	return d
}

// row is the key of the ledger row to look at; the zero value when there is none to look
// for. A command of a lane without a ledger has none, even where another command of its
// client and id has.
func (d *dead) row() ledger.Key {
	if d.command.Unledgered {
		return ledger.Key{}
	}
	return d.key
}

// named reports whether the message names a command, well-formed or not.
func (d *dead) named() bool { return d.key.Tenant != "" }

// answerable reports whether there is a client to tell, under an id of its own.
func (d *dead) answerable() bool { return d.named() && !d.command.OneWay() }

// tenant owns the letter. Garbage that was put straight into a work queue has the queue's
// name as its key, which reads like one of a tenant "work".
func (d *dead) tenant() string {
	if d.command.Tenant == "" || d.malformed != nil && strings.HasPrefix(d.message.Key, topology.WorkQueue("")) {
		return topology.SystemTenant
	}
	return d.command.Tenant
}
