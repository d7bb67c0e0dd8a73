package session

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/schema/push"
)

func (w *world) closedWith(t *testing.T, code push.CloseCode) {
	t.Helper()
	if w.line.code != code {
		t.Fatalf("closed with %d, want %d", w.line.code, code)
	}
}

func (w *world) frames(t *testing.T, want ...string) {
	t.Helper()
	if got := w.line.types(); !slices.Equal(got, want) {
		t.Fatalf("frames %v, want %v", got, want)
	}
}

const oldSession = "6f1ed002-ab55-4959-94f0-d1e4b4b3c4a5"

func TestWelcomeTellsWhatWaits(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.waiting, w.missed = 3, 2
	w.connect("")
	w.send(push.ClientFrame{Type: push.TypeHello, Token: "good", Session: oldSession, Window: 4})
	want := `{"type":"welcome","session":"` + w.session.ID() + `","client":"c","window":4,"ping":25,"waiting":3,"missed":2,"reconnect":60}`
	if len(w.line.raw) != 1 || w.line.raw[0] != want {
		t.Fatalf("got %q, want %q", w.line.raw, want)
	}
	if w.old != oldSession || w.mails != 1 {
		t.Fatalf("old session %q, %d looks into the mailbox", w.old, w.mails)
	}
	// Until the mailbox was read, live outcomes go there as well.
	p := &parcel{id: uuid.New()}
	if w.offer(p, 10) != Lagging || !p.is("refused") {
		t.Fatalf("verdicts %v", p.verdicts)
	}
	w.session.Fill(w.now, []*Item{storedItem(uuid.New(), 10)}, 0, 0)
	w.session.CaughtUp(w.now)
	w.offer(&parcel{id: uuid.New()}, 10)
	w.frames(t, "welcome", "outcome", "lag", "outcome")
	if f := w.line.frames; f[1].Source != "mailbox" || f[2].On || f[3].Source != "live" {
		t.Fatalf("got %+v", f)
	}
}

// A row that is stored after the counting, and announced before the welcome, is not left lying.
func TestAnnouncedWhileJoining(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.cfg.Hub = joiningHub{w, func() { w.session.Announced(w.now) }}
	w.open()
	w.frames(t, "welcome")
	if w.mails != 1 {
		t.Fatal("the mailbox is not looked into")
	}
}

func TestWithoutDatabaseTheSessionIsLive(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.countErr = errors.New("away")
	w.open()
	if w.mails != 1 {
		t.Fatal("the mailbox is not asked for again")
	}
	if w.offer(&parcel{id: uuid.New()}, 10) != Taken {
		t.Fatal("not live")
	}
}

func TestHowHelloEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handshake, token string
		joinErr          error
		code             push.CloseCode
	}{
		"no token":          {code: push.BadToken},
		"unknown token":     {handshake: "x", code: push.BadToken},
		"hello's own wins":  {handshake: "good", token: "x", code: push.BadToken},
		"revoked":           {handshake: "revoked", code: push.Revoked},
		"lacks the scope":   {token: "forbidden", code: push.Forbidden},
		"nobody can tell":   {token: "away", code: push.Internal},
		"too many sockets":  {token: "good", joinErr: ErrTooMany, code: push.TooManyConnections},
		"draining":          {token: "good", joinErr: ErrDraining, code: push.Drained},
		"broker is away":    {token: "good", joinErr: ErrNotBound, code: push.BrokerAway},
		"well, all is fine": {token: "good"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			w.joinErr = c.joinErr
			w.connect(c.handshake)
			w.send(push.ClientFrame{Type: push.TypeHello, Token: c.token})
			w.closedWith(t, c.code)
		})
	}
}

func TestFramesOutOfPlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		frames []push.ClientFrame
		code   push.CloseCode
	}{
		"ack before hello": {[]push.ClientFrame{{Type: push.TypeAck}}, push.BadFrame},
		"second hello":     {[]push.ClientFrame{{Type: push.TypeHello, Token: "good"}, {Type: push.TypeHello, Token: "good"}}, push.BadFrame},
		"ack of nothing":   {[]push.ClientFrame{{Type: push.TypeHello, Token: "good"}, {Type: push.TypeAck}}, 0},
		"ack ahead":        {[]push.ClientFrame{{Type: push.TypeHello, Token: "good"}, {Type: push.TypeAck, Seq: 1}}, push.BadFrame},
		"later version":    {[]push.ClientFrame{{Type: push.TypeHello, Token: "good"}, {Type: "x"}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			w.connect("")
			for _, f := range c.frames {
				w.send(f)
			}
			w.closedWith(t, c.code)
		})
	}
}

func TestEventsAreNotThereYet(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.open()
	w.send(push.ClientFrame{Type: push.TypeSubscribe, Device: "d", Event: "*"})
	w.send(push.ClientFrame{Type: push.TypeUnsubscribe, Device: "d", Event: "*"})
	w.frames(t, "welcome", "error", "error")
	if f := w.line.frames[1]; f.Code != "not_available" || f.Temporary {
		t.Fatalf("got %+v", f)
	}
	w.closedWith(t, 0)
}

func TestDeadlines(t *testing.T) {
	t.Parallel()
	t.Run("no hello", func(t *testing.T) {
		t.Parallel()
		w := newWorld()
		w.connect("good")
		w.pass(9900 * time.Millisecond)
		w.closedWith(t, 0)
		w.pass(time.Second)
		w.closedWith(t, push.NoHello)
	})
	t.Run("silence", func(t *testing.T) {
		t.Parallel()
		w := newWorld()
		w.open()
		w.pass(99 * time.Second)
		w.closedWith(t, 0) // pings were answered
		w.frames(t, "welcome", "ping", "ping", "ping")
		w.session.Fire(w.now.Add(25 * time.Second))
		w.session.Fire(w.now.Add(35 * time.Second))
		w.closedWith(t, push.NoPong)
	})
	t.Run("token expires", func(t *testing.T) {
		t.Parallel()
		w := newWorld()
		// Database time is an hour ahead.
		w.tokens["short"] = Principal{Tenant: "t", Client: "c", Expires: w.now.Add(time.Hour + time.Minute)}
		w.connect("short")
		w.send(push.ClientFrame{Type: push.TypeHello})
		w.pass(59 * time.Second)
		w.closedWith(t, 0)
		w.pass(2 * time.Second)
		w.closedWith(t, push.TokenExpired)
	})
	t.Run("nothing acked at all", func(t *testing.T) {
		t.Parallel()
		w := newWorld()
		w.open()
		w.offer(&parcel{id: uuid.New()}, 10)
		w.pass(29 * time.Second)
		w.closedWith(t, 0)
		w.pass(2 * time.Second)
		w.closedWith(t, push.AckTimeout)
	})
	t.Run("acked now and then", func(t *testing.T) {
		t.Parallel()
		w := newWorld()
		w.open()
		for range 6 {
			w.offer(&parcel{id: uuid.New()}, 10)
		}
		for seq := range uint64(6) {
			w.pass(20 * time.Second)
			w.send(push.ClientFrame{Type: push.TypeAck, Seq: seq + 1})
		}
		w.closedWith(t, 0)
	})
}

func TestFreshToken(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.tokens["short"] = Principal{Tenant: "t", Client: "c", KeyID: "k1", Expires: w.now.Add(time.Hour + time.Minute)}
	w.tokens["other"] = Principal{Tenant: "t", Client: "other"}
	w.connect("short")
	w.send(push.ClientFrame{Type: push.TypeHello})
	w.send(push.ClientFrame{Type: push.TypeAuth, Token: "away"})
	if f := w.line.frames[1]; f.Type != "error" || !f.Temporary {
		t.Fatalf("got %+v", f)
	}
	w.send(push.ClientFrame{Type: push.TypeAuth, Token: "good"})
	w.session.Revoked("t", "k1")
	w.pass(5 * time.Minute)
	w.closedWith(t, 0)
	w.send(push.ClientFrame{Type: push.TypeAuth, Token: "other"})
	w.closedWith(t, push.Forbidden)
}

func TestRevocationEndsTheSessionAndItsPlace(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.open()
	w.session.Revoked("t", "another key")
	w.session.Revoked("another tenant", "k")
	w.closedWith(t, 0)
	w.session.Revoked("t", "k")
	w.closedWith(t, push.Revoked)
	if !slices.Equal(w.left, []bool{false}) {
		t.Fatalf("left %v", w.left)
	}
}

func TestWaysToLeave(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		leave func(w *world)
		keep  bool
		code  push.CloseCode
	}{
		"bye":         {func(w *world) { w.send(push.ClientFrame{Type: push.TypeBye}) }, false, normalClosure},
		"socket lost": {func(w *world) { w.session.Lost() }, true, 0},
		"released":    {func(w *world) { w.session.LetGo() }, false, normalClosure},
		"drained": {func(w *world) {
			w.session.Drain(2*time.Second, 3*time.Second)
			w.pass(2900 * time.Millisecond)
			if w.line.code != 0 || w.line.frames[2].In != 2000 {
				panic("closed too early, or told otherwise")
			}
			w.pass(time.Second)
		}, true, push.Drained},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			w.open()
			p := &parcel{id: uuid.New()}
			w.offer(p, 10)
			c.leave(w)
			w.closedWith(t, c.code)
			// What was not acked goes to the mailbox at once.
			if !p.is("refused") || p.cause != SocketLost || !slices.Equal(w.left, []bool{c.keep}) || len(w.ended) != 1 {
				t.Fatalf("verdicts %v, cause %s, left %v, ended %v", p.verdicts, p.cause, w.left, w.ended)
			}
			w.session.Lost()
			if len(w.left) != 1 || w.offer(&parcel{id: uuid.New()}, 10) != NotConnected {
				t.Fatal("ended twice, or takes outcomes still")
			}
		})
	}
}

func TestEndedWhileJoining(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.cfg.Hub = joiningHub{w, func() { w.session.End(push.BrokerAway) }}
	w.open()
	w.closedWith(t, push.BrokerAway)
	if !slices.Equal(w.left, []bool{true, true}) || len(w.line.frames) != 0 {
		t.Fatalf("left %v, frames %v: the hub has to be told again once it had joined", w.left, w.line.types())
	}
}

type joiningHub struct {
	*world
	during func()
}

func (h joiningHub) Join(context.Context, *Session, string) error {
	h.during()
	return nil
}
