package livetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cupline/cupline/cli/internal/exit"
)

func TestTheDemoIsMadeAndMayBeMadeAgain(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	if _, errs, code := s.run(t, "demo"); code != exit.Usage || !strings.Contains(errs, "password-file") {
		t.Errorf("without a file it ends with %d: %s", code, errs)
	}
	file := filepath.Join(t.TempDir(), "agent", "password")
	var first string
	for i := range 3 {
		out, errs, code := s.run(t, "demo", "--password-file", file)
		if code != exit.OK || !strings.Contains(errs, "demo/host") {
			t.Fatalf("demo ends with %d: %s%s", code, out, errs)
		}
		password, err := os.ReadFile(file)
		if err != nil || !strings.HasPrefix(string(password), "dev_") || strings.Contains(errs, strings.TrimSpace(string(password))) {
			t.Fatalf("%q, %v", password, err)
		}
		switch i {
		case 0:
			first = string(password)
		case 1:
			if string(password) != first {
				t.Error("a good password was replaced")
			}
			if err := os.WriteFile(file, []byte("dev_something_else"), 0o600); err != nil {
				t.Fatal(err)
			}
		case 2:
			if string(password) == first || strings.Contains(string(password), "else") {
				t.Error("a password that is no good stays")
			}
		}
	}
	if out, errs, code := s.run(t, "keys", "create", "--database", "--tenant", "demo", "--client", "me"); code != exit.OK {
		t.Errorf("a key for the demo's tenant ends with %d: %s%s", code, out, errs)
	}
	if _, errs, code := s.run(t, "keys", "create", "--database", "--tenant", "demo", "--client", "me", "--kubernetes-secret", "key"); code != exit.Usage ||
		!strings.Contains(errs, "this is no pod") {
		t.Errorf("a Secret outside a cluster ends with %d: %s", code, errs)
	}
}
