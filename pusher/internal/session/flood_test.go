package session

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/schema/push"
)

// flooded opens a session that may send two frames a second.
func flooded() *world {
	w := newWorld()
	w.cfg.Limits.FrameRate = 2
	w.open() // hello is the first of twenty
	return w
}

func TestTooManyFramesEndASession(t *testing.T) {
	t.Parallel()
	w := flooded()
	for range 19 {
		w.send(push.ClientFrame{Type: push.TypePong})
	}
	w.closedWith(t, 0)
	w.send(push.ClientFrame{Type: push.TypePong})
	w.closedWith(t, push.RateLimited)
}

func TestFramesWithinTheRateGoOn(t *testing.T) {
	t.Parallel()
	w := flooded()
	for range 200 {
		w.send(push.ClientFrame{Type: push.TypePong})
		w.pass(500 * time.Millisecond)
	}
	w.closedWith(t, 0)
}

// An ack of what was sent is as frequent as outcomes are; one that settles nothing is a frame like any other.
func TestAcksAreFreeWhereTheySettleSomething(t *testing.T) {
	t.Parallel()
	w := flooded()
	for i := range 500 {
		w.offer(&parcel{id: uuid.New()}, 10)
		w.send(push.ClientFrame{Type: push.TypeAck, Seq: uint64(i + 1)})
	}
	w.closedWith(t, 0)
	for range 20 {
		w.send(push.ClientFrame{Type: push.TypeAck, Seq: 500})
	}
	w.closedWith(t, push.RateLimited)
}

func TestTokensAndEmptyMessagesCount(t *testing.T) {
	t.Parallel()
	w := flooded()
	w.send(push.ClientFrame{Type: push.TypeAuth, Token: "good"})
	w.closedWith(t, 0)
	w.send(push.ClientFrame{Type: push.TypeAuth, Token: "good"}) // ten, and ten, and hello
	w.closedWith(t, push.RateLimited)
	w = flooded()
	for range 20 {
		w.session.Idle()
	}
	w.closedWith(t, push.RateLimited)
}

// A token past the failed log-ins is not looked at: whoever holds the socket backs off.
func TestTooManyFailedLoginsBackOff(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.connect("limited")
	w.send(push.ClientFrame{Type: push.TypeHello})
	w.closedWith(t, push.RateLimited)
}
