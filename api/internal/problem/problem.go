// Package problem is the closed set of words for what can be wrong with a request, and
// what is told beside them. It knows nothing of HTTP: which status a word means stands in
// one table in httpapi.
package problem

import (
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Code is the word. Words are never changed or reused; clients compare them.
type Code string

// The words. What each means to a client stands in schema/openapi.yaml.
const (
	Malformed            Code = "malformed"
	InvalidRequest       Code = "invalid_request"
	InvalidParameter     Code = "invalid_parameter"
	Unauthorized         Code = "unauthorized"
	Forbidden            Code = "forbidden"
	NotFound             Code = "not_found"
	UnknownDevice        Code = "unknown_device"
	UnknownType          Code = "unknown_type"
	UnknownLane          Code = "unknown_lane"
	UnknownKey           Code = "unknown_key"
	UnknownTenant        Code = "unknown_tenant"
	KeyEnded             Code = "key_ended"
	OtherReach           Code = "other_reach"
	UnknownCommand       Code = "unknown_command"
	UnknownCredential    Code = "unknown_credential"
	TooManyCredentials   Code = "too_many_credentials"
	MethodNotAllowed     Code = "method_not_allowed"
	InUse                Code = "in_use"
	TooLarge             Code = "too_large"
	UnsupportedMediaType Code = "unsupported_media_type"
	InvalidParams        Code = "invalid_params"
	InvalidDescription   Code = "invalid_description"
	NotIdempotent        Code = "not_idempotent"
	MailboxFull          Code = "mailbox_full"
	RateLimited          Code = "rate_limited"
	Internal             Code = "internal"
	LaneUnavailable      Code = "lane_unavailable"
	QueueFull            Code = "queue_full"
	BrokerUnavailable    Code = "broker_unavailable"
	BrokerBlocked        Code = "broker_blocked"
	DatabaseUnavailable  Code = "database_unavailable"
	Overloaded           Code = "overloaded"
	InDoubt              Code = "in_doubt"

	UnknownLetter   Code = "unknown_letter"
	LetterState     Code = "letter_state"
	MayHaveExecuted Code = "may_have_executed"
	DeviceGone      Code = "device_gone"
	NotRedrivable   Code = "not_redrivable"
	UnknownJob      Code = "unknown_job"
	JobState        Code = "job_state"
	LetterHeld      Code = "letter_held"
	UnknownGroup    Code = "unknown_group"
	Assigned        Code = "assigned"
	PauseState      Code = "pause_state"
	UnknownDrain    Code = "unknown_drain"
	DrainState      Code = "drain_state"
	CommandState    Code = "command_state"
	ErasureState    Code = "erasure_state"
)

// None stands in Offset and Index where nothing is to be said of them.
const None = -1

// Problem is one reason why a request was not done. Detail, Field and List are told to the
// client; Cause is for the log alone.
type Problem struct {
	Code Code
	// Detail says more, for people.
	Detail string
	// Field is the member, header or parameter that is meant.
	Field string
	// Offset is the byte of the body at which it stops being JSON, or None.
	Offset int
	// Index of the batch's item, from 0, or None.
	Index int
	// ID is the client's own id as one JSON value; nil when it could not be read.
	ID []byte
	// CommandID is set where a message with it may have been sent.
	CommandID uuid.UUID
	// Lane is where the command was to go, once that is known; for the log alone.
	Lane string
	// RetryAfter is when trying again may do, where that is known.
	RetryAfter time.Duration
	// List holds every problem found, where there can be several.
	List []string
	// Cause is not told.
	Cause error
}

// New makes a problem with a detail; format as in fmt.Sprintf.
func New(code Code, format string, args ...any) *Problem {
	detail := format
	if len(args) > 0 {
		detail = fmt.Sprintf(format, args...)
	}
	return &Problem{Code: code, Detail: detail, Offset: None, Index: None}
}

// From makes a problem whose cause is logged and not told.
func From(code Code, cause error) *Problem {
	return &Problem{Code: code, Cause: cause, Offset: None, Index: None}
}

// At names the member, header or parameter that is meant.
func (p *Problem) At(field string) *Problem {
	p.Field = field
	return p
}

// Because gives a cause to what is told; it is logged alone.
func (p *Problem) Because(cause error) *Problem {
	p.Cause = cause
	return p
}

// Error is for logs: the word, what is told, and the cause.
func (p *Problem) Error() string {
	text := string(p.Code)
	if p.Field != "" {
		text += " (" + p.Field + ")"
	}
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	if p.Cause != nil {
		text += ": " + p.Cause.Error()
	}
	return text
}

// Unwrap is the cause.
func (p *Problem) Unwrap() error { return p.Cause }
