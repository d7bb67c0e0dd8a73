package kubernetes_test

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/cupline/cupline/cli/internal/kubernetes"
)

// server behaves as Kubernetes does for the two calls, with TLS and a token.
type server struct {
	mu   sync.Mutex
	kept map[string]map[string]string
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const secrets = "/api/v1/namespaces/shop/secrets"
	switch {
	case r.Header.Get("Authorization") != "Bearer t-1":
		w.WriteHeader(http.StatusUnauthorized)
	case r.Method == http.MethodGet && s.kept[r.URL.Path] != nil:
		w.WriteHeader(http.StatusOK)
	case r.Method == http.MethodGet:
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodPost && r.URL.Path == secrets:
		var made struct {
			APIVersion string            `json:"apiVersion"`
			Kind       string            `json:"kind"`
			Metadata   map[string]string `json:"metadata"`
			StringData map[string]string `json:"stringData"`
		}
		if err := json.NewDecoder(r.Body).Decode(&made); err != nil || made.Kind != "Secret" || made.APIVersion != "v1" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		path := secrets + "/" + made.Metadata["name"]
		if s.kept[path] != nil {
			w.WriteHeader(http.StatusConflict)
			return
		}
		s.kept[path] = made.StringData
		w.WriteHeader(http.StatusCreated)
	}
}

// pod makes what a pod sees of its cluster.
func pod(t *testing.T, token string) (*kubernetes.Secrets, *server) {
	t.Helper()
	s := &server{kept: map[string]map[string]string{}}
	listening := httptest.NewTLSServer(s)
	t.Cleanup(listening.Close)
	folder := t.TempDir()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: listening.Certificate().Raw})
	for name, content := range map[string]string{"token": token, "namespace": "shop\n", "ca.crt": string(authority)} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	host, port, err := net.SplitHostPort(listening.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
	secrets, err := kubernetes.InCluster(func(name string) string { return env[name] }, folder)
	if err != nil {
		t.Fatal(err)
	}
	return secrets, s
}

func TestASecretIsMadeOnce(t *testing.T) {
	t.Parallel()
	secrets, s := pod(t, "t-1")
	if there, err := secrets.Exists(t.Context(), "key"); err != nil || there {
		t.Fatalf("there %v, %v", there, err)
	}
	if err := secrets.Create(t.Context(), "key", map[string]string{"token": "x"}); err != nil {
		t.Fatal(err)
	}
	if there, err := secrets.Exists(t.Context(), "key"); err != nil || !there {
		t.Fatalf("there %v, %v", there, err)
	}
	if err := secrets.Create(t.Context(), "key", map[string]string{"token": "y"}); !errors.Is(err, kubernetes.ErrExists) {
		t.Fatalf("a second time: %v", err)
	}
	if got := s.kept["/api/v1/namespaces/shop/secrets/key"]["token"]; got != "x" {
		t.Errorf("kept %q", got)
	}
}

func TestARefusalIsAnError(t *testing.T) {
	t.Parallel()
	secrets, _ := pod(t, "another")
	if _, err := secrets.Exists(t.Context(), "key"); err == nil {
		t.Error("a look without right is no answer")
	}
	if err := secrets.Create(t.Context(), "key", nil); err == nil || errors.Is(err, kubernetes.ErrExists) {
		t.Errorf("a creation without right: %v", err)
	}
}

func TestOutsideAClusterThatIsSaid(t *testing.T) {
	t.Parallel()
	if _, err := kubernetes.InCluster(func(string) string { return "" }, t.TempDir()); err == nil {
		t.Error("no environment, and no error")
	}
}
