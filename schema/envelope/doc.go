// Package envelope is what Cupline puts around the bytes it carries: AMQP properties
// and headers. A JSON-RPC request or response is the message's body, untouched; all
// that the platform needs to know rides beside it.
//
// Version N reads what N-1 and N+1 write: headers are only ever added, and unknown
// ones are ignored. The files in testdata/golden hold each kind of message to that.
package envelope

// Version is written into every message.
const Version = 1

// Types of message, in the AMQP property of that name.
const (
	TypeCommand = "command"
	TypeOutcome = "outcome"
	// TypeAnnounce says that an outcome was stored in the mailbox of the client whose key it has.
	TypeAnnounce = "announce"
	// TypeRelease asks the pusher that holds an old session of the client to let go of it.
	TypeRelease = "release"
)

// ContentType of commands and outcomes.
const ContentType = "application/json"

// Headers. Times are Unix milliseconds in database time, durations milliseconds, both int64.
const (
	headerVersion     = "cupline-version"
	headerDeviceType  = "cupline-device-type"
	headerDriver      = "cupline-driver"
	headerAccepted    = "cupline-accepted"
	headerDeadline    = "cupline-deadline"
	headerTimeout     = "cupline-timeout"
	headerIdempotent  = "cupline-idempotent"
	headerUnledgered  = "cupline-unledgered"
	headerRedrive     = "cupline-redrive"
	headerRedriveOf   = "cupline-redrive-of"
	headerReason      = "cupline-reason"
	headerClaim       = "cupline-claim"
	headerDetail      = "cupline-detail"
	headerFirstID     = "cupline-first-command-id"
	headerFirstState  = "cupline-first-state"
	headerBodyless    = "cupline-bodyless"
	headerDevice      = "cupline-device"
	headerMethod      = "cupline-method"
	headerLane        = "cupline-lane"
	headerOrigin      = "cupline-origin"
	headerAt          = "cupline-at"
	headerSession     = "cupline-session"
	headerTraceParent = "traceparent"
	headerTraceState  = "tracestate"
)
