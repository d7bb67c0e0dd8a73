package jwt

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

const (
	// fetchLimit bounds one reading of the keys.
	fetchLimit = 5 * time.Second
	// fetchEvery bounds how often the keys are read for the sake of a token that names one not known:
	// whoever makes up names must not make us ask the issuer all the time.
	fetchEvery = 10 * time.Second
	fetchBurst = 2
	// staleLimit is how long keys are good that can no longer be read anew.
	staleLimit = 24 * time.Hour
	maxSet     = 1 << 20 // bytes
	maxKeys    = 64
	// minRSA is the shortest modulus, in bits (RFC 7518, 3.3).
	minRSA = 2048
)

// keys are the issuer's, as last read.
type keys struct {
	cfg    Config
	client *http.Client
	turn   chan struct{} // held while they are read
	rate   *rate.Limiter
	cancel context.CancelFunc
	done   chan struct{}

	mu   sync.Mutex // guards the rest
	set  []jose.JSONWebKey
	read time.Time // of this machine's monotonic clock; zero for never
}

func newKeys(cfg Config, client *http.Client) *keys {
	return &keys{
		cfg: cfg, client: client, turn: make(chan struct{}, 1), done: make(chan struct{}), cancel: func() {},
		rate: rate.NewLimiter(rate.Every(fetchEvery), fetchBurst),
	}
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return fmt.Errorf("the address of the issuer's keys, %q, must be a URL", text)
	}
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return fmt.Errorf("the address of the issuer's keys, %q, must be https: whoever is on the way could give his own", text)
	}
	return nil
}

func (k *keys) start(ctx context.Context) error {
	ctx, k.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(k.done)
		every := time.NewTicker(k.cfg.Refresh)
		defer every.Stop()
		for {
			if err := k.fetch(ctx); err != nil && ctx.Err() == nil {
				k.cfg.Log.Warn("the issuer's keys are not read anew", zap.Error(err))
			}
			select {
			case <-every.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return nil
}

func (k *keys) stop(ctx context.Context) error {
	k.cancel()
	defer k.client.CloseIdleConnections()
	select {
	case <-k.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop reading the issuer's keys: %w", context.Cause(ctx))
	}
}

// find returns the public key that a token names. One that is not known is asked for, now and then.
func (k *keys) find(ctx context.Context, id, algorithm string) (any, error) {
	if key, _ := k.look(id, algorithm); key != nil {
		return key, nil
	}
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
	key, known := k.look(id, algorithm) // whoever had the turn before may have read it
	if key != nil {
		return key, nil
	}
	if k.rate.Allow() {
		if err := k.fetchNow(ctx); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if key, known = k.look(id, algorithm); key != nil {
			return key, nil
		}
	}
	if !known {
		return nil, fmt.Errorf("%w: they were not read yet", ErrUnavailable)
	}
	return nil, fmt.Errorf("%w: the issuer has no such key", ErrInvalid)
}

// look finds a key in memory. A token that names none means the only one. known tells whether there is a set that is still good.
func (k *keys) look(id, algorithm string) (key any, known bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.read.IsZero() || time.Since(k.read) > staleLimit {
		return nil, false
	}
	var found any
	for i := range k.set {
		if one := &k.set[i]; algorithmOf(one.Key) == algorithm && (one.KeyID == id || id == "") {
			if found != nil {
				return nil, true // which one is meant, nobody can tell
			}
			found = one.Key
		}
	}
	return found, true
}

// fetch waits for its turn and reads the keys.
func (k *keys) fetch(ctx context.Context) error {
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return k.fetchNow(ctx)
}

func (k *keys) fetchNow(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, k.cfg.JWKS, nil)
	if err != nil {
		return err
	}
	answer, err := k.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the issuer answers %s", answer.Status)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxSet+1))
	if err != nil {
		return err
	}
	set, err := parse(body)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.set, k.read = set, time.Now()
	return nil
}

// parse keeps the keys that can verify what is verified here; others may stand beside them.
func parse(body []byte) ([]jose.JSONWebKey, error) {
	var all struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if len(body) > maxSet {
		return nil, fmt.Errorf("the issuer's keys are more than %d bytes", maxSet)
	}
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, fmt.Errorf("the issuer's keys are no key set: %w", err)
	}
	if len(all.Keys) > maxKeys {
		return nil, fmt.Errorf("the issuer has more than %d keys", maxKeys)
	}
	var set []jose.JSONWebKey
	for _, text := range all.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(text) != nil {
			continue // of a kind that is not verified here
		}
		own := algorithmOf(key.Key)
		if own == "" || !key.Valid() || key.Use != "" && key.Use != "sig" || key.Algorithm != "" && key.Algorithm != own {
			continue
		}
		set = append(set, key)
	}
	if len(set) == 0 {
		return nil, errors.New("the issuer has no key for RS256, ES256 or EdDSA")
	}
	return set, nil
}

// algorithmOf is what a public key verifies here; empty for nothing.
func algorithmOf(key any) string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() >= minRSA {
			return string(jose.RS256)
		}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return string(jose.ES256)
		}
	case ed25519.PublicKey:
		return string(jose.EdDSA)
	}
	return ""
}
