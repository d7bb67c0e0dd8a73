package livetest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cupline/cupline/chassis/postgrestest"
	"github.com/cupline/cupline/cli/internal/exit"
	"github.com/cupline/cupline/store/identity"
)

func TestFirstKeyIsMadeInTheDatabase(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	out, errs, code := s.run(t, "keys", "create", "--database", "--tenant", "acme", "--client", "web", "--expires-in", "24h", "-o", "json")
	var made struct{ Key, Token, Client string }
	if err := json.Unmarshal([]byte(out), &made); err != nil || code != exit.OK || made.Client != "web" {
		t.Fatalf("create ends with %d: %s%s", code, out, errs)
	}
	// A second one finds the tenant there.
	out, errs, code = s.run(t, "keys", "create", "--database", "--tenant", "acme", "--client", "desk", "--scope", "devices:read")
	if code != exit.OK || !strings.HasPrefix(out, "cup_") || strings.Count(out, "\n") != 1 || !strings.Contains(errs, "not shown again") {
		t.Errorf("create ends with %d: %s%s", code, out, errs)
	}
	out, _, code = s.run(t, "keys", "list", "--database", "--tenant", "acme")
	if code != exit.OK || strings.Count(out, "\n") != 3 || !strings.Contains(out, "commands:send,replies:read") || strings.Contains(out, made.Token) {
		t.Errorf("list ends with %d: %s", code, out)
	}
	if _, errs, code = s.run(t, "keys", "revoke", made.Key, "--database", "--tenant", "acme"); code != exit.OK {
		t.Errorf("revoke ends with %d: %s", code, errs)
	}
	if out, _, _ = s.run(t, "keys", "list", "--database", "--tenant", "acme", "-o", "json"); !strings.Contains(out, `"revoked_at":"2`) {
		t.Errorf("list prints %s", out)
	}
	if _, errs, code = s.run(t, "keys", "revoke", "no-such-key", "--database", "--tenant", "acme"); code != exit.Failed || !strings.Contains(errs, "not found") {
		t.Errorf("revoking no key ends with %d: %s", code, errs)
	}
	if _, errs, code = s.run(t, "keys", "create", "--database", "--tenant", "a.b", "--client", "c/d"); code != exit.Usage || strings.Count(errs, "must be 1 to 64") != 2 {
		t.Errorf("create with bad ids ends with %d: %s", code, errs)
	}
}

func TestMadeKeyIsGoodUntilRevoked(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t, nil)
	s := shell{"DATABASE_URL": db.URL()}
	s.run(t, "migrate", "up")
	token, _, code := s.run(t, "keys", "create", "--database", "--tenant", "acme", "--client", "web")
	if code != exit.OK {
		t.Fatal("no key was made")
	}
	verifier := identity.NewVerifier(identity.New(db.Pool(t)), identity.VerifierConfig{})
	who, err := verifier.Verify(t.Context(), strings.TrimSpace(token))
	if err != nil || who.Tenant != "acme" || who.Client != "web" || strings.Join(who.Scopes, " ") != "commands:send replies:read" {
		t.Errorf("the key stands for %+v, %v", who, err)
	}
}
