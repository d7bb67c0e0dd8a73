// Package deadletter keeps the commands that ended without a device's answer, whole, and
// settles them: letter, audit trail and ledger in one transaction.
package deadletter

import (
	"time"

	"github.com/google/uuid"
)

// States of a letter.
const (
	Open      = "open"
	Redriving = "redriving"
	Redriven  = "redriven"
	Discarded = "discarded"
)

// Letter is one dead command. Bytes are kept as they are; Tenant, Client, Device,
// DeviceType, Method and Lane must be UTF-8 without NUL, or the letter is refused
// (store.ErrRefused) and has to be parked.
type Letter struct {
	// LetterID is made by Settle and Park.
	LetterID uuid.UUID
	// Tenant is topology.SystemTenant when none could be read.
	Tenant string
	// Alleged says that Tenant is only what a message says that is no whole command: where there is no such
	// tenant, the letter and its entries in the audit trail are topology.SystemTenant's.
	Alleged bool
	// CommandID is uuid.Nil when none could be read; then Digest tells one letter from another.
	CommandID  uuid.UUID
	Client     string
	Device     string
	DeviceType string
	Method     string
	Lane       string
	// ID holds the client's own id bytes; nil when there is none.
	ID        []byte
	Redrive   int
	RedriveOf uuid.UUID
	// Reason and Executed are words of schema/outcome.
	Reason   string
	Executed string
	// Detail for people, sanitised like audit.Entry.Detail.
	Detail string
	State  string
	// Payload is the message's body; Properties, Headers and Deaths are JSON made by the recorder.
	Payload    []byte
	Properties []byte
	Headers    []byte
	Deaths     []byte
	// Outcome is what the client is told; nil for nothing.
	Outcome []byte
	// Digest of the whole message (SHA-256), for letters without a command id.
	Digest [32]byte
	// DiedAt in database time; zero means when it is written.
	DiedAt time.Time

	// What follows is set by the store alone.

	// Cause is Detail without what differs from letter to letter; Group is that of reason,
	// device type, method and Cause.
	Cause string
	Group uuid.UUID
	// RedrivenAs is the command id of its redrive, RedriveNumber that one's number; zero while
	// it was never redriven.
	RedrivenAs    uuid.UUID
	RedriveNumber int
	// Edited is the request that the redrive sent, where its params were edited; nil for Payload. Only Get fills it.
	Edited []byte
	// Lasts is how long its redrive may wait and then run; zero while it was never redriven. Only Get fills it.
	Lasts time.Duration
	// JobID of the job that acted on it; uuid.Nil for an operator's own hand.
	JobID uuid.UUID
	// Changed, ChangedBy and ChangedWhy tell of the last change of State; zero while there was none.
	Changed    time.Time
	ChangedBy  string
	ChangedWhy string
}
