package recorder

import (
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/dispatcher/internal/claims"
	"github.com/cupline/cupline/dispatcher/internal/dispatch"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/ledger"
)

// resolution is what a dead letter comes to, given what the ledger says.
type resolution struct {
	deadletter.Resolution
	// failure is what this letter means by itself; nil when it means nothing, because the
	// ledger's row speaks, or will.
	failure *outcome.Failure
	// repeated tells that this letter is a repeated post, which its first copy answers.
	repeated bool
}

// resolve is the whole of the recorder's rules: DESIGN, section 5. now is database time.
// It changes nothing, and depends on nothing else.
func (d *dead) resolve(row *ledger.Row, now time.Time) resolution {
	cause := d.letter.Cause()
	switch {
	case d.letter.Bodyless && (row == nil || row.CommandID != d.command.ID || !row.Open()):
		return resolution{} // only an open row of its own is to be settled
	case row == nil:
		return d.unstarted(cause)
	case row.CommandID != d.command.ID:
		return d.repeated(row)
	case !row.Open():
		return d.late(row, cause)
	case d.letter.Claim == row.Token && row.Token != uuid.Nil:
		return d.ended(cause, cause.Executed(true), d.letter.Detail)
	}
	// Started by somebody else, who may be alive still.
	if lost := row.Started.Add(row.Timeout + dispatch.Grace); now.Before(lost) {
		return resolution{Resolution: deadletter.Resolution{Hold: max(lost.Sub(now), time.Millisecond)}}
	}
	detail := ""
	if cause != outcome.WorkerLost {
		detail = "came back as " + string(cause)
	}
	return d.ended(outcome.WorkerLost, outcome.WorkerLost.Executed(true), detail)
}

// unstarted is for a command that nobody has claimed. Where there is a ledger it gets a
// row, decided, all the same: a worker that still holds the command finds it there when
// it claims, and "executed: no" stays true.
func (d *dead) unstarted(cause outcome.Reason) resolution {
	r := d.ended(cause, d.unwritten(cause), d.letter.Detail)
	switch {
	case d.command.Unledgered, d.malformed != nil, !d.named():
		// No worker claims these.
		r.Decide = nil
	default:
		r.Claim = claims.Of(&d.command, uuid.Nil)
	}
	return r
}

// unwritten is whether a command without a row may have been executed. Where there is no
// ledger nobody wrote down whether it was started; then only a dispatcher that had it at its
// first delivery, and saw that the device was not reached, can know (dispatch.Command.Redelivered).
func (d *dead) unwritten(cause outcome.Reason) outcome.Executed {
	switch {
	case !d.command.Unledgered:
		return cause.Executed(false)
	case cause == outcome.DeviceOffline || cause == outcome.DeviceBusy:
		return outcome.No
	}
	return outcome.Maybe
}

// ended is the whole settlement: letter, audit trail, decision.
func (d *dead) ended(reason outcome.Reason, executed outcome.Executed, detail string) resolution {
	if detail == "" && d.malformed != nil {
		detail = d.malformed.Error()
	}
	failure := &outcome.Failure{
		Reason: reason, Executed: executed, Device: d.command.Device, Detail: detail,
		FirstCommandID: d.letter.FirstCommandID, FirstState: d.letter.FirstState,
	}
	if d.command.ID != uuid.Nil {
		failure.CommandID = d.command.ID.String()
	}
	r := resolution{failure: failure}
	switch {
	case d.letter.Bodyless:
		r.Audit = []audit.Entry{d.entry("settled", string(reason), "by an operator, long after its timeout")}
	case !d.parked:
		letter := d.keep(failure)
		r.Letter = &letter
		r.Audit = []audit.Entry{d.entry("dead_letter", string(reason), detail)}
	}
	if d.named() {
		r.Decide = d.decision(failure)
	}
	return r
}

// repeated is for a post whose id another command has: that one's row is not touched.
func (d *dead) repeated(row *ledger.Row) resolution {
	if d.letter.Cause() != outcome.DuplicateID && row.Digest == d.command.Digest {
		// The same command posted again: the row speaks for it, or will.
		return resolution{repeated: true, Resolution: deadletter.Resolution{
			Audit: []audit.Entry{d.entry("repeated_post", string(d.letter.Cause()), "its first copy is "+row.CommandID.String())},
		}}
	}
	if d.letter.FirstCommandID == "" {
		// Another device or body; no dispatcher came to say so.
		d = d.withFirst(row)
	}
	r := d.ended(outcome.DuplicateID, outcome.No, d.letter.Detail)
	r.Decide = nil
	return r
}

// withFirst is a copy that names the command which has the id.
func (d *dead) withFirst(row *ledger.Row) *dead {
	named := *d
	named.letter.FirstCommandID = row.CommandID.String()
	named.letter.FirstState = dispatch.StateOpen
	if !row.Open() {
		named.letter.FirstState = dispatch.StateDecided
	}
	return &named
}

// late is for a command that is decided: this letter was settled before, or something
// else came first. Only the latter is worth a line.
func (d *dead) late(row *ledger.Row, cause outcome.Reason) resolution {
	said := outcome.Reason(row.Reason)
	if said == cause || said == outcome.Unrecordable || said == outcome.WorkerLost && d.letter.Claim == uuid.Nil {
		return resolution{}
	}
	return resolution{Resolution: deadletter.Resolution{
		Audit: []audit.Entry{d.entry("late_letter", string(cause), "decided before: "+row.Origin+" "+row.Reason)},
	}}
}

// decision is what the ledger gets.
func (d *dead) decision(failure *outcome.Failure) *ledger.Decision {
	return &ledger.Decision{
		Key: d.key, CommandID: d.command.ID, Outcome: d.body(failure),
		Origin: envelope.OriginPlatform, Reason: string(failure.Reason), Delivered: d.command.OneWay(),
	}
}

// body is what the client is told; empty for a one-way command.
func (d *dead) body(failure *outcome.Failure) []byte {
	if d.command.OneWay() {
		return []byte{}
	}
	return failure.Response(d.command.Request.ID.Raw)
}
