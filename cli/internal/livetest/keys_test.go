package livetest

import (
	"encoding/json"
	"os"
	"path/filepath"
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

func TestATokenIsKeptInAFile(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	path := filepath.Join(t.TempDir(), "token")
	create := []string{"keys", "create", "--database", "--tenant", "acme", "--client", "web", "--devices", "lamp-*", "--label", "site=north", "--file", path}
	out, errs, code := s.run(t, create...)
	if code != exit.OK || out != "" || strings.Contains(errs, "cup_") {
		t.Fatalf("create ends with %d: %s%s", code, out, errs)
	}
	kept, err := os.ReadFile(path)
	info, statErr := os.Stat(path)
	if err != nil || statErr != nil || info.Mode().Perm() != 0o600 || !strings.HasPrefix(string(kept), "cup_") {
		t.Fatalf("kept %q, %v %v %v", kept, info, err, statErr)
	}
	if _, errs, code = s.run(t, create...); code == exit.OK || !strings.Contains(errs, "exists") {
		t.Errorf("over a file that is there it ends with %d: %s", code, errs)
	}
	if out, _, _ = s.run(t, "keys", "list", "--database", "--tenant", "acme"); strings.Count(out, "\n") != 2 || !strings.Contains(out, "lamp-*,site=north") {
		t.Errorf("list prints %s", out)
	}
	id := strings.Split(string(kept), "_")[1]
	out, errs, code = s.run(t, "keys", "rotate", id, "--database", "--tenant", "acme", "--overlap", "1h", "-o", "json")
	var made struct{ Key, Token, Replaces string }
	if err := json.Unmarshal([]byte(out), &made); err != nil || code != exit.OK || made.Replaces != id || made.Token == "" {
		t.Errorf("rotate ends with %d: %s%s", code, out, errs)
	}
	if _, errs, code = s.run(t, "keys", "create", "--database", "--tenant", "cupline", "--client", "web"); code != exit.Usage || !strings.Contains(errs, "platform's own name") {
		t.Errorf("a tenant named cupline ends with %d: %s", code, errs)
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
