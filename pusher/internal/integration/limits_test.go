package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/pusher/internal/app"
	"github.com/cupline/cupline/schema/push"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/identity"
)

// One tenant's sockets leave room for the others.
func TestSocketsOfATenantAreLimited(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	p := b.start(t, "slot-0", func(s *app.Settings) { s.TenantConnections = 2 })
	if _, err := b.keys.PutTenant(t.Context(), "other", ""); err != nil {
		t.Fatal(err)
	}
	others, _, err := b.keys.CreateKey(t.Context(), identity.NewKey{Tenant: "other", Client: "web", Scopes: []string{"replies:read"}})
	if err != nil {
		t.Fatal(err)
	}
	web := b.key(t, "web")
	first := p.connect(t, web)
	p.connect(t, b.key(t, "app"))
	tooMany := p.dial(t, bearer(b.key(t, "desk")))
	tooMany.send(t, push.ClientFrame{Type: push.TypeHello})
	tooMany.closesWith(t, push.TooManyConnections)
	p.connect(t, others)
	// Who comes back in the place of his own old session is let in, and then there is room for no more.
	again := p.connect(t, web, push.ClientFrame{Session: first.welcome.Session})
	again.send(t, push.ClientFrame{Type: push.TypeBye})
	brokertest.Eventually(t, "the room of one that left is free", func() bool {
		c := p.dial(t, bearer(b.key(t, "desk")))
		c.send(t, push.ClientFrame{Type: push.TypeHello})
		select {
		case f, open := <-c.frames:
			return open && f.Type == push.TypeWelcome
		case <-time.After(patience):
			return false
		}
	})
}

func TestFailedLoginsAreOnRecord(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	p := b.start(t, "slot-0")
	token, id := b.keyWith(t, "web", "replies:read")
	if err := b.keys.RevokeKey(t.Context(), tenant, id); err != nil {
		t.Fatal(err)
	}
	c := p.dial(t, bearer(token))
	c.send(t, push.ClientFrame{Type: push.TypeHello})
	c.closesWith(t, push.Revoked)
	brokertest.Eventually(t, "the failed log-in is in the trail", func() bool {
		entries, err := audit.New(b.pool).List(t.Context(), "system", time.Time{}, 10)
		return err == nil && len(entries) == 1 && entries[0].Action == "login_failed" && entries[0].Actor == "key "+id && !strings.Contains(entries[0].Detail, token)
	})
}
