package integration

import (
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/cupline/cupline/chassis/jwttest"
	"github.com/cupline/cupline/pusher/internal/app"
	"github.com/cupline/cupline/schema/push"
	"github.com/cupline/cupline/store/identity"
)

// withTokens has a pusher take an issuer's tokens.
func withTokens(issuer *jwttest.Issuer) func(*app.Settings) {
	return func(s *app.Settings) {
		s.Tokens.JWKS, s.Tokens.Issuer, s.Tokens.Audience = issuer.JWKS(), issuer.URL(), []string{"cupline"}
	}
}

func claims(issuer *jwttest.Issuer, client string, life time.Duration) map[string]any {
	c := issuer.Claims("cupline")
	c["tenant"], c["sub"], c["scope"], c["exp"] = tenant, client, "replies:read", time.Now().Add(life).Unix()
	return c
}

// A token opens a socket, a fresh one keeps it open, and its end closes it.
func TestTokensOpenSocketsAndEndThem(t *testing.T) {
	t.Parallel()
	b, issuer := newBed(t), jwttest.New(t)
	p := b.start(t, "slot-0", withTokens(issuer))
	refreshed := p.connect(t, issuer.Sign(t, "rsa", claims(issuer, "app", 12*time.Second)))
	ends := p.connect(t, issuer.Sign(t, "ec", claims(issuer, "web", 12*time.Second)))
	refreshed.send(t, push.ClientFrame{Type: push.TypeAuth, Token: issuer.Sign(t, "ed", claims(issuer, "app", time.Hour))})
	ends.closesWith(t, push.TokenExpired)
	id := b.publish(t, "app", "1")[0]
	refreshed.expect(t, id)
	// Another client's token does not refresh, and ends it.
	refreshed.send(t, push.ClientFrame{Type: push.TypeAuth, Token: issuer.Sign(t, "ed", claims(issuer, "web", time.Hour))})
	refreshed.closesWith(t, push.Forbidden)
}

func TestBadTokensOpenNothing(t *testing.T) {
	t.Parallel()
	b, issuer, stranger := newBed(t), jwttest.New(t), jwttest.New(t)
	p := b.start(t, "slot-0", withTokens(issuer))
	with := func(name string, value any) string {
		c := claims(issuer, "app", time.Hour)
		c[name] = value
		return issuer.Sign(t, "ec", c)
	}
	for name, c := range map[string]struct {
		token string
		code  push.CloseCode
	}{
		"a stranger's":  {stranger.Sign(t, "ec", claims(issuer, "app", time.Hour)), push.BadToken},
		"no tenant":     {with("tenant", "nobody"), push.BadToken},
		"no client":     {with("sub", "auth0|x"), push.BadToken},
		"wrong scope":   {with("scope", "commands:send"), push.Forbidden},
		"expired":       {with("exp", time.Now().Add(-time.Hour).Unix()), push.BadToken},
		"another's aud": {with("aud", "else"), push.BadToken},
	} {
		socket := p.dial(t, bearer(c.token))
		socket.send(t, push.ClientFrame{Type: push.TypeHello})
		if !t.Run(name, func(t *testing.T) { socket.closesWith(t, c.code) }) {
			return
		}
	}
}

// A ticket opens one socket, by the URL, with the right that it was issued for; then it is used up.
func TestTicketsAreGoodOnce(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	p := b.start(t, "slot-0")
	token, keyID := b.keyWith(t, "web", "replies:read")
	who := identity.Principal{Tenant: tenant, Client: "web", KeyID: keyID}
	open := func(ticket string) *client {
		c := p.dialURL(t, websocket.Dialer{HandshakeTimeout: patience}, "/v1/connect?ticket="+ticket, nil)
		c.send(t, push.ClientFrame{Type: push.TypeHello})
		return c
	}
	ticket, until, err := b.keys.IssueTicket(t.Context(), who, []string{"replies:read"})
	if err != nil || time.Until(until) > identity.TicketLife+5*time.Second {
		t.Fatal(until, err)
	}
	first := open(ticket)
	if f := first.next(t); f.Type != push.TypeWelcome || f.Client != "web" {
		t.Fatalf("%+v", f)
	}
	open(ticket).closesWith(t, push.BadToken)
	open(token).closesWith(t, push.BadToken) // a key is never taken from a URL
	late, _, err := b.keys.IssueTicket(t.Context(), who, []string{"replies:read"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.pool.Exec(t.Context(), "update tickets set good_until = now() - interval '1 ms'"); err != nil {
		t.Fatal(err)
	}
	open(late).closesWith(t, push.BadToken)
	unused, _, err := b.keys.IssueTicket(t.Context(), who, []string{"replies:read"})
	if err != nil {
		t.Fatal(err)
	}
	// What it was issued for is revoked: the socket that it opened closes, and one that is not used yet opens none.
	if err := b.keys.RevokeKey(t.Context(), tenant, keyID); err != nil {
		t.Fatal(err)
	}
	first.closesWith(t, push.Revoked)
	open(unused).closesWith(t, push.Revoked)
}
