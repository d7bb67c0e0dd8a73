// Package failpoint has names for the moments at which a service is best killed: between
// two steps that are not one transaction. The fault suite arms a point of one process; the
// nth time that the process passes it, it kills itself or holds still there.
//
// Services call Pass at these moments. It does something only in programs that are built
// with the tag failpoints; without the tag nothing of it is left in them.
package failpoint

// Point is a moment in a service's work.
type Point string

// The points. Not every service passes each.
const (
	// BeforePublish is before a message is written to the broker, AfterPublish before its confirm came.
	BeforePublish Point = "before-publish"
	AfterPublish  Point = "after-publish"
	// AfterClaim is once the ledger says that a command is this dispatcher's, before it is sent
	// to the device; AfterAnswer once its device has answered, before that is decided; AfterOutcome
	// once an outcome is durable in the ledger, before it is published.
	AfterClaim   Point = "after-claim"
	AfterAnswer  Point = "after-answer"
	AfterOutcome Point = "after-outcome"
	// BeforeAck is once the effect of a delivery is durable, before it is acknowledged.
	BeforeAck Point = "before-ack"
	// AfterPush is once an outcome was written to a client's socket, before the client's ack.
	AfterPush Point = "after-push"
	// InMailbox is within the transaction that puts outcomes into mailboxes, AfterMailbox once it
	// is committed, before that is announced.
	InMailbox    Point = "in-mailbox"
	AfterMailbox Point = "after-mailbox"
	// InSettle is within the transaction that settles a dead letter.
	InSettle Point = "in-settle"
	// BeforeRedrive is once a redrive is committed to its command, before that is published,
	// AfterRedrive once the broker has it, before that is noted.
	BeforeRedrive Point = "before-redrive"
	AfterRedrive  Point = "after-redrive"
	// AfterItem is once a job has acted on a letter, before that is noted in the job.
	AfterItem Point = "after-item"
)

// Folder is the environment variable that names the folder in which a process's points are armed.
const Folder = "CUPLINE_FAILPOINTS"
