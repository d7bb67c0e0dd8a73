package cupline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// maxAnswer bounds an answer of the platform, in bytes: long lists are the longest.
const maxAnswer = 64 << 20

// request is one HTTP request to the API.
type request struct {
	method, path string
	query        map[string]string
	header       map[string]string
	body         []byte
	// wait is what a long poll takes beyond the usual time limit.
	wait time.Duration
}

func (r request) reads() bool { return r.method == http.MethodGet }

// do sends the request once, or once more with another token where it was refused for the first, and decodes a 2xx answer
// into the value, which may be nil.
func (c *Client) do(ctx context.Context, r request, into any) error {
	token, err := c.tokens.get(ctx)
	if err != nil {
		return fmt.Errorf("%s %s: %w: %w", r.method, r.path, ErrRefused, err)
	}
	err = c.attempt(ctx, r, token, into)
	var problem *Problem
	if !c.tokens.renewable() || !errors.As(err, &problem) || problem.Status != http.StatusUnauthorized {
		return err
	}
	other, fetchErr := c.tokens.fetch(ctx)
	if fetchErr != nil || other == token {
		return err
	}
	return c.attempt(ctx, r, other, into)
}

func (c *Client) attempt(ctx context.Context, r request, token string, into any) error {
	what := r.method + " " + r.path
	if c.api == nil {
		return fmt.Errorf("%s: %w: the client has no URL of the API", what, ErrRefused)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout+r.wait,
		fmt.Errorf("no answer within %s", c.timeout+r.wait))
	defer cancel()
	// Past its header a request may have been read; without it, it cannot.
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	hr, err := c.newRequest(ctx, r, token)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", what, ErrRefused, err)
	}
	answer, err := c.http.Do(hr)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = errors.Join(cause, err)
		}
		return &linkError{what: what, sent: sent.Load() && !r.reads(), err: err}
	}
	defer closeBody(answer)
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return fmt.Errorf("%s: %w", what, readProblem(answer, r.reads()))
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err == nil && into != nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		return &linkError{what: what + ": read the answer", sent: !r.reads(), err: err}
	}
	return nil
}

func (c *Client) newRequest(ctx context.Context, r request, token string) (*http.Request, error) {
	u := c.api.JoinPath(r.path)
	if len(r.query) > 0 {
		q := u.Query()
		for name, value := range r.query {
			q.Set(name, value)
		}
		u.RawQuery = q.Encode()
	}
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	hr, err := http.NewRequestWithContext(ctx, r.method, u.String(), body)
	if err != nil {
		return nil, err
	}
	hr.Header.Set("Authorization", "Bearer "+token)
	hr.Header.Set("Accept", "application/json, application/problem+json")
	if r.body != nil {
		hr.Header.Set("Content-Type", "application/json")
	}
	for name, value := range r.header {
		hr.Header.Set(name, value)
	}
	return hr, nil
}

// closeBody gives a connection back; what was read of it is all that counts.
func closeBody(answer *http.Response) { _ = answer.Body.Close() }
