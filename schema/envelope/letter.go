package envelope

import (
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/schema/topology"
)

// Letter is a command that ended without its device's answer, as it reaches the
// recorder: sent by a dispatcher with the reason, or dead-lettered by the broker with
// its own words in x-death.
type Letter struct {
	Command Command
	// Malformed is why Command could not be read in full; nil when it could.
	Malformed error
	// Reason is the dispatcher's; empty when the broker dead-lettered it.
	Reason outcome.Reason
	// Claim is the token under which the sending dispatcher had claimed it; uuid.Nil when it had not.
	Claim  uuid.UUID
	Detail string
	// FirstCommandID and FirstState go with outcome.DuplicateID.
	FirstCommandID string
	FirstState     string
	// Bodyless letters stand for a command whose message is gone: body and envelope hold what the ledger knew of it, and
	// not its params. There is nothing to keep of them.
	Bodyless bool
	// Deaths is the broker's history, newest first; empty when there is none.
	Deaths []Death
}

// Verdict is what a dispatcher knows about a command that it gives to the recorder.
type Verdict struct {
	Reason         outcome.Reason
	Claim          uuid.UUID
	Detail         string
	FirstCommandID string
	FirstState     string
	// Bodyless is Letter's.
	Bodyless bool
}

// Bury writes a delivery on to DeadExchange with the dispatcher's verdict. It takes the
// message as it came, malformed ones too: nothing in it is read or changed but the
// expiration, which has served its purpose.
func Bury(m message.Message, v Verdict) message.Message {
	headers := make(map[string]any, len(m.Headers)+5)
	for name, value := range m.Headers {
		headers[name] = value
	}
	// RabbitMQ routes a message to every key in these headers, too: one letter must stay one.
	delete(headers, "CC")
	delete(headers, "BCC")
	headers[headerReason] = string(v.Reason)
	set := func(name, value string) {
		if value != "" {
			headers[name] = value
		}
	}
	if v.Claim != uuid.Nil {
		set(headerClaim, v.Claim.String())
	}
	set(headerDetail, outcome.Detail(v.Detail))
	set(headerFirstID, v.FirstCommandID)
	set(headerFirstState, v.FirstState)
	if v.Bodyless {
		headers[headerBodyless] = true
	}
	m.Headers = headers
	m.Exchange = topology.DeadExchange
	m.Mandatory = true
	m.Transient = false
	m.Expiration = 0
	return m
}

// ParseLetter reads whatever lies in the dead-letter queue; it never fails, but may say Malformed.
func ParseLetter(m *message.Message) Letter {
	command, err := ParseCommand(m)
	l := Letter{
		Command:        command,
		Malformed:      err,
		Reason:         outcome.Reason(m.String(headerReason)),
		Detail:         outcome.Detail(m.String(headerDetail)),
		FirstCommandID: outcome.Detail(m.String(headerFirstID)),
		FirstState:     outcome.Detail(m.String(headerFirstState)),
		Bodyless:       m.Bool(headerBodyless),
		Deaths:         readDeaths(m),
	}
	if !l.Reason.Known() {
		l.Reason = ""
	}
	if text := m.String(headerClaim); len(text) == 36 {
		if claim, err := uuid.Parse(text); err == nil {
			l.Claim = claim
		}
	}
	return l
}

// Cause is why the command ended: the dispatcher's reason, else what the broker's words mean.
func (l *Letter) Cause() outcome.Reason {
	if l.Reason != "" {
		return l.Reason
	}
	if len(l.Deaths) > 0 && l.Deaths[0].Reason == "expired" {
		return outcome.Expired
	}
	// delivery_limit, rejected, or put there by hand.
	return outcome.Undeliverable
}

// Death is one entry of the broker's x-death header.
type Death struct {
	Queue    string    `json:"queue"`
	Exchange string    `json:"exchange"`
	Keys     []string  `json:"keys,omitempty"`
	Reason   string    `json:"reason"`
	Count    int64     `json:"count"`
	At       time.Time `json:"at"`
}

func readDeaths(m *message.Message) []Death {
	entries, _ := m.Headers["x-death"].([]any)
	var deaths []Death
	for _, entry := range entries {
		table, ok := entry.(map[string]any)
		if !ok {
			continue
		}
		e := message.Message{Headers: table}
		d := Death{Queue: e.String("queue"), Exchange: e.String("exchange"), Reason: e.String("reason")}
		d.Count, _ = e.Int("count")
		d.At, _ = table["time"].(time.Time)
		keys, _ := table["routing-keys"].([]any)
		for _, key := range keys {
			if text, ok := key.(string); ok {
				d.Keys = append(d.Keys, text)
			}
		}
		deaths = append(deaths, d)
	}
	return deaths
}
