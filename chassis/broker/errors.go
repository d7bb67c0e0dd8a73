package broker

import "errors"

// What can become of a publish, asked with errors.Is. Only ErrInDoubt leaves open whether
// the broker has the message; after every other error no queue has taken it.
var (
	// ErrUnavailable: nothing was sent. The link is down, or no room in the publisher's
	// window came free before the context ended.
	ErrUnavailable = errors.New("broker: not available, nothing was sent")
	// ErrBlocked: nothing was sent. The broker has raised a memory or disk alarm and takes
	// no publishes.
	ErrBlocked = errors.New("broker: blocked by a resource alarm, nothing was sent")
	// ErrUnroutable: the message was mandatory and no queue is bound for it; the broker
	// handed it back.
	ErrUnroutable = errors.New("broker: unroutable, no queue took the message")
	// ErrRefused: the broker said no (basic.nack) while the channel was open: the queue is
	// full (overflow reject-publish), or it failed.
	ErrRefused = errors.New("broker: refused by the queue")
	// ErrInDoubt: the message was sent, and the link or its channel died, or the context
	// ended, before the broker confirmed. It may or may not be in the queue.
	ErrInDoubt = errors.New("broker: in doubt, sent but not confirmed")
	// ErrInvalid: nothing was sent. The message cannot be put into AMQP frames: a name, key
	// or property is longer than 255 bytes, or a header has a type that AMQP lacks.
	ErrInvalid = errors.New("broker: message cannot be encoded, nothing was sent")
	// ErrClosed: nothing was sent. The link was stopped.
	ErrClosed = errors.New("broker: link is closed")
)

// What a session's calls answer, besides ErrUnavailable.
var (
	// ErrLocked: another connection holds the exclusive queue (405).
	ErrLocked = errors.New("broker: locked by another connection")
	// ErrNotFound: no such queue or exchange (404).
	ErrNotFound = errors.New("broker: not found")
	// ErrForbidden: the user has no right to it (403).
	ErrForbidden = errors.New("broker: forbidden to this user")
	// ErrInUse: the queue was to be deleted only if unused or empty, and is not.
	ErrInUse = errors.New("broker: queue is in use or not empty")
)
