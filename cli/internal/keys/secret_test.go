package keys

import (
	"encoding/json"
	"encoding/pem"
	"flag"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/chassis/postgrestest"
	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/kubernetes"
	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/migrations"
	"github.com/cupline/cupline/store/identity"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // all of it needs Postgres
	}
	os.Exit(m.Run())
}

// cluster answers as the API server; refuse makes it answer creations with that status.
func cluster(t *testing.T, refuse int) (secrets *kubernetes.Secrets, kept func() map[string]string) {
	t.Helper()
	var mu sync.Mutex
	var data map[string]string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case r.Method == http.MethodGet && data == nil:
			w.WriteHeader(http.StatusNotFound)
		case r.Method != http.MethodGet && refuse != 0:
			w.WriteHeader(refuse)
		case r.Method == http.MethodPatch:
			var changed struct{ StringData map[string]string }
			if err := json.NewDecoder(r.Body).Decode(&changed); err != nil || r.Header.Get("Content-Type") != "application/merge-patch+json" {
				t.Errorf("%s: %v", r.Header.Get("Content-Type"), err)
			}
			maps.Copy(data, changed.StringData)
		case r.Method == http.MethodPost:
			var made struct{ StringData map[string]string }
			if err := json.NewDecoder(r.Body).Decode(&made); err != nil {
				t.Error(err)
			}
			data = made.StringData
			w.WriteHeader(http.StatusCreated)
		}
	}))
	t.Cleanup(server.Close)
	folder := t.TempDir()
	authority := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	for name, content := range map[string]string{"token": "t", "namespace": "shop", "ca.crt": authority} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	host, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
	secrets, err = kubernetes.InCluster(func(name string) string { return env[name] }, folder)
	if err != nil {
		t.Fatal(err)
	}
	return secrets, func() map[string]string { mu.Lock(); defer mu.Unlock(); return data }
}

// database is migrated, with a console that knows it.
func database(t *testing.T) (*console.Console, *identity.Store) {
	t.Helper()
	db := postgrestest.New(t, nil)
	if _, err := migrations.Up(t.Context(), db.URL()); err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string { return map[string]string{"DATABASE_URL": db.URL()}[name] }
	return &console.Console{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard, Getenv: getenv}, identity.New(db.Pool(t))
}

func TestTheFirstKeyIsKeptInASecretOnce(t *testing.T) {
	t.Parallel()
	c, store := database(t)
	secrets, kept := cluster(t, 0)
	n := cupline.NewKey{Client: "admin", Scopes: []string{"tenants:admin"}}
	for range 2 {
		if err := makeInSecret(t.Context(), c, secrets, "key", "acme", n); err != nil {
			t.Fatal(err)
		}
	}
	who, err := identity.NewVerifier(store, identity.VerifierConfig{}).Verify(t.Context(), kept()["token"])
	if err != nil || who.Tenant != "acme" || who.Client != "admin" {
		t.Errorf("the token in the Secret stands for %+v, %v", who, err)
	}
	if all, err := store.Keys(t.Context(), "acme", "", 10); err != nil || len(all) != 1 {
		t.Errorf("keys %+v, %v: want one", all, err)
	}
}

// TestASecretOfADatabaseThatIsGoneGetsANewToken: what is uninstalled leaves the Secret, and what is installed then begins
// with an empty database.
func TestASecretOfADatabaseThatIsGoneGetsANewToken(t *testing.T) {
	t.Parallel()
	secrets, kept := cluster(t, 0)
	n := cupline.NewKey{Client: "admin", Scopes: []string{"tenants:admin"}}
	for range 2 { // two databases, one cluster
		c, store := database(t)
		if err := makeInSecret(t.Context(), c, secrets, "key", "acme", n); err != nil {
			t.Fatal(err)
		}
		if _, err := identity.NewVerifier(store, identity.VerifierConfig{}).Verify(t.Context(), kept()["token"]); err != nil {
			t.Errorf("the token in the Secret: %v", err)
		}
	}
	// One that was revoked is not replaced while there are others.
	c, store := database(t)
	if _, _, err := Make(t.Context(), pool(t, c), identity.NewKey{Tenant: "acme", Client: "other"}); err != nil {
		t.Fatal(err)
	}
	before := kept()["token"]
	if err := makeInSecret(t.Context(), c, secrets, "key", "acme", n); err != nil || kept()["token"] != before {
		t.Errorf("the Secret was changed, %v", err)
	}
	if all, err := store.Keys(t.Context(), "acme", "", 10); err != nil || len(all) != 1 {
		t.Errorf("keys %+v, %v: want the other alone", all, err)
	}
}

// pool is the console's database.
func pool(t *testing.T, c *console.Console) *postgres.Pool {
	t.Helper()
	opened, err := connect.Database(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(opened.Close)
	return opened
}

func TestAKeyWhoseSecretCannotBeMadeIsRevoked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		fails  bool
	}{{http.StatusForbidden, true}, {http.StatusConflict, false}} {
		terminal, store := database(t)
		secrets, _ := cluster(t, c.status)
		err := makeInSecret(t.Context(), terminal, secrets, "key", "acme", cupline.NewKey{Client: "admin", Scopes: []string{"tenants:admin"}})
		if (err != nil) != c.fails {
			t.Errorf("%d: %v", c.status, err)
		}
		all, err := store.Keys(t.Context(), "acme", "", 10)
		if err != nil || len(all) != 1 || all[0].Revoked.IsZero() {
			t.Errorf("%d: keys %+v, %v: want one, revoked", c.status, all, err)
		}
	}
}
