// Package jwttest is an issuer of tokens for tests: it signs, and publishes its keys.
package jwttest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Issuer signs tokens. It is safe for concurrent use.
type Issuer struct {
	server *httptest.Server
	asked  atomic.Int64
	away   atomic.Bool

	mu   sync.Mutex // guards keys
	keys map[string]crypto.Signer
}

// New makes one with a key of each kind: "rsa", "ec" and "ed". It is gone when the test ends.
func New(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{keys: map[string]crypto.Signer{}}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	check(t, err)
	i.Add("rsa", rsaKey)
	i.Add("ec", ec)
	i.Add("ed", ed)
	i.server = httptest.NewServer(http.HandlerFunc(i.serve))
	t.Cleanup(i.server.Close)
	return i
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// JWKS is where its keys are.
func (i *Issuer) JWKS() string { return i.server.URL + "/jwks.json" }

// URL is its iss.
func (i *Issuer) URL() string { return i.server.URL }

// Add gives it a further key.
func (i *Issuer) Add(id string, key crypto.Signer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys[id] = key
}

// Key is one of its keys.
func (i *Issuer) Key(id string) crypto.Signer {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys[id]
}

// Asked is how often its keys were asked for.
func (i *Issuer) Asked() int64 { return i.asked.Load() }

// Away makes it answer 503, or no longer.
func (i *Issuer) Away(away bool) { i.away.Store(away) }

func (i *Issuer) serve(w http.ResponseWriter, _ *http.Request) {
	i.asked.Add(1)
	if i.away.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	all := []any{map[string]string{"kty": "oct", "kid": "secret", "k": "c2VjcmV0"}, map[string]string{"kty": "of tomorrow"}}
	for id, key := range i.keys {
		all = append(all, jose.JSONWebKey{Key: key.Public(), KeyID: id, Use: "sig"})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": all}) // whoever asked may be gone
}

// Claims of a good token for an audience, for an hour.
func (i *Issuer) Claims(audience string) map[string]any {
	now := time.Now()
	return map[string]any{
		"iss": i.URL(), "aud": audience, "sub": "somebody", "exp": now.Add(time.Hour).Unix(), "nbf": now.Add(-time.Minute).Unix(),
	}
}

// Sign makes a token with one of its keys.
func (i *Issuer) Sign(t testing.TB, id string, claims map[string]any) string {
	t.Helper()
	key := i.Key(id)
	algorithm := map[string]jose.SignatureAlgorithm{"rsa": jose.RS256, "ec": jose.ES256}[id]
	if algorithm == "" {
		algorithm = jose.EdDSA
	}
	return Sign(t, algorithm, key, id, claims)
}

// Sign makes a token with any key and any algorithm.
func Sign(t testing.TB, algorithm jose.SignatureAlgorithm, key any, id string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", id))
	check(t, err)
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	check(t, err)
	return token
}
