// Package outcome is the closed vocabulary of how a command can end without its
// device's own answer: the reason, its JSON-RPC error code, and whether the device
// may have executed the command. These words never change once they were told.
package outcome

// Reason is why a command ended without its device's answer.
type Reason string

// The reasons; their codes and words are in the table below.
const (
	// Expired: its time-to-live ended before a dispatcher started it.
	Expired Reason = "expired"
	// DeviceOffline: the broker, or the connection attempt, said that the device is not there.
	DeviceOffline Reason = "device_offline"
	// NoAnswer: sent, and no answer within the method's timeout.
	NoAnswer Reason = "no_answer"
	// WorkerLost: the worker that had started it is gone.
	WorkerLost Reason = "worker_lost"
	// BadAnswer: the device answered something that is not the response to this request.
	BadAnswer Reason = "bad_answer"
	// Undeliverable: no such driver, device deleted, malformed envelope, delivery limit.
	Undeliverable Reason = "undeliverable"
	// DuplicateID: the id was used for another device or body.
	DuplicateID Reason = "duplicate_id"
	// Discarded: an operator discarded it before it started.
	Discarded Reason = "discarded"
	// DeviceBusy: too many commands in flight for this one device.
	DeviceBusy Reason = "device_busy"
	// Unrecordable: something in it cannot be stored; parked raw for operators.
	Unrecordable Reason = "unrecordable"
)

// Executed tells whether the device may have executed a command.
type Executed string

// No means that sending the command again is safe; Maybe that nobody can know.
const (
	No    Executed = "no"
	Maybe Executed = "maybe"
)

type word struct {
	code    int
	message string
	// unstarted is what holds when the command was never claimed, started when it was.
	unstarted, started Executed
}

var words = map[Reason]word{
	Expired:       {-32010, "the command expired before it was started", No, No},
	DeviceOffline: {-32011, "the device is not connected", No, No},
	NoAnswer:      {-32012, "no answer from the device", Maybe, Maybe},
	WorkerLost:    {-32013, "the worker that ran the command is gone", Maybe, Maybe},
	BadAnswer:     {-32014, "the device's answer is not a response to this command", Maybe, Maybe},
	Undeliverable: {-32015, "the command cannot be delivered", No, Maybe},
	DuplicateID:   {-32016, "the id was used for another command", No, No},
	Discarded:     {-32017, "an operator discarded the command", No, No},
	DeviceBusy:    {-32018, "too many commands in flight for the device", No, No},
	Unrecordable:  {-32019, "the command cannot be recorded", Maybe, Maybe},
}

// Reasons lists all of them in the order of their codes.
func Reasons() []Reason {
	return []Reason{
		Expired, DeviceOffline, NoAnswer, WorkerLost, BadAnswer,
		Undeliverable, DuplicateID, Discarded, DeviceBusy, Unrecordable,
	}
}

// Known reports whether r is one of the reasons.
func (r Reason) Known() bool { _, ok := words[r]; return ok }

// Code is the JSON-RPC error code; 0 for a reason that is not known.
func (r Reason) Code() int { return words[r].code }

// Message is the sentence for people; it may be reworded, code and reason may not.
func (r Reason) Message() string { return words[r].message }

// Executed tells what the reason means for the device, given whether the ledger shows
// that a worker started the command. It is never computed from what a broker says.
func (r Reason) Executed(started bool) Executed {
	w, ok := words[r]
	switch {
	case !ok:
		return Maybe
	case started:
		return w.started
	}
	return w.unstarted
}
