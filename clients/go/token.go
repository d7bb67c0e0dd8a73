package cupline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Token is a key or a token to ask with.
type Token struct {
	Value string
	// Expires is when it ends; zero when that is not known.
	Expires time.Time
}

// TokenSource fetches a token. It is called by one goroutine at a time, and given 30 s.
type TokenSource func(ctx context.Context) (Token, error)

const (
	// tokenMargin is how long before its end a token counts as used up: a tenth of its life, and this at most.
	tokenMargin = time.Minute
	// tokenLimit bounds the fetch of a token.
	tokenLimit = 30 * time.Second
)

// tokens fetches tokens: one fetch at a time, whoever asks, and none while the last one is good.
type tokens struct {
	source TokenSource // nil: current is all there is

	mu       sync.Mutex // guards the rest
	current  Token
	fetched  time.Time
	fetches  int         // that brought a token
	fetching *tokenFetch // nil while there is none
}

// tokenFetch is one that is under way; err and value are written before done is closed.
type tokenFetch struct {
	done  chan struct{}
	value string
	err   error
}

// renewable tells whether asking again can bring another token.
func (t *tokens) renewable() bool { return t.source != nil }

// renewAt is when the current token wants to be replaced; zero when nobody knows.
func (t *tokens) renewAt() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.renewable() || t.current.Expires.IsZero() {
		return time.Time{}
	}
	life := max(t.current.Expires.Sub(t.fetched), 0)
	return t.current.Expires.Add(-min(tokenMargin, life/10))
}

// get returns the current token, or a new one where there is none or it is about to end.
func (t *tokens) get(ctx context.Context) (string, error) {
	t.mu.Lock()
	value := t.current.Value
	t.mu.Unlock()
	at := t.renewAt()
	if value != "" && (at.IsZero() || time.Now().Before(at)) {
		return value, nil
	}
	return t.fetch(ctx)
}

// forConnection is get for a new connection: a token that does not say how long it is good is fetched anew.
func (t *tokens) forConnection(ctx context.Context) (string, error) {
	if t.renewable() && t.renewAt().IsZero() {
		return t.fetch(ctx)
	}
	return t.get(ctx)
}

// count tells how many tokens were fetched so far.
func (t *tokens) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.fetches
}

// refused says that the platform does not take the current token, whatever was said of its end: where another can be
// had, it is fetched next.
func (t *tokens) refused() {
	if !t.renewable() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current = Token{}
}

// fetch returns a new token. Whoever asks while one is being fetched gets the same.
func (t *tokens) fetch(ctx context.Context) (string, error) {
	for {
		t.mu.Lock()
		under := t.fetching
		mine := under == nil
		if mine {
			under = &tokenFetch{done: make(chan struct{})}
			t.fetching = under
		}
		t.mu.Unlock()
		if mine {
			return t.lead(ctx, under)
		}
		select {
		case <-under.done:
			// That its caller went away says nothing about the token.
			if errors.Is(under.err, context.Canceled) && ctx.Err() == nil {
				continue
			}
			return under.value, under.err
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// lead fetches for all who ask meanwhile.
func (t *tokens) lead(ctx context.Context, under *tokenFetch) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, tokenLimit, fmt.Errorf("no token within %s", tokenLimit))
	defer cancel()
	token, err := t.source(ctx)
	if err == nil && !sound(token.Value) {
		err = errors.New("it is empty, or has spaces in it")
	}
	if err != nil {
		under.err = fmt.Errorf("fetch a token: %w", err)
	}
	under.value = token.Value
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.current, t.fetched = token, time.Now()
		t.fetches++
	}
	t.fetching = nil
	close(under.done)
	return under.value, under.err
}

// sound tells whether a token can stand in a header.
func sound(token string) bool { return token != "" && !strings.ContainsAny(token, " \r\n") }
