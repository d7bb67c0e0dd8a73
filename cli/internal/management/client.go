// Package management talks to RabbitMQ's management API, for one virtual host.
package management

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// requestLimit bounds one question; a list of very many bindings takes its time.
	requestLimit = 30 * time.Second
	// maxAnswer bounds an answer, in bytes.
	maxAnswer = 256 << 20
)

// Client of one virtual host. Close it.
type Client struct {
	base *url.URL
	http http.Client
	// VHost is the virtual host's name.
	VHost string
}

// StatusError says that the API answered with no success.
type StatusError struct {
	// Code is the HTTP status: 401 and 403 where the user may not ask.
	Code int
	what string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: it answers %d %s", e.what, e.Code, http.StatusText(e.Code))
}

// New takes the API's address, http://user:password@host:port, and the virtual host from the
// AMQP URL (of several, the first). Its errors show no password.
func New(address, amqpURL string) (*Client, error) {
	base, err := url.Parse(address)
	if err != nil || base.Host == "" {
		return nil, errors.New("RABBITMQ_MANAGEMENT_URL: must be http://user:password@host:port")
	}
	amqp, err := url.Parse(strings.TrimSpace(strings.Split(amqpURL, ",")[0]))
	if err != nil {
		return nil, errors.New("AMQP_URL: must be amqp://user:password@host:port/vhost")
	}
	vhost := strings.TrimPrefix(amqp.Path, "/")
	if vhost == "" {
		vhost = "/"
	}
	return &Client{base: base, VHost: vhost, http: http.Client{Timeout: requestLimit}}, nil
}

// Close gives the connections back.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Get reads what is at /api/ and the path's parts. A StatusError says what else than 200 came.
func (c *Client) Get(ctx context.Context, into any, path ...string) error {
	_, err := c.Dated(ctx, into, path...)
	return err
}

// Dated is Get, and what the broker's clock said when it answered, to the second; zero when
// it did not say.
func (c *Client) Dated(ctx context.Context, into any, path ...string) (time.Time, error) {
	answer, what, err := c.call(ctx, http.MethodGet, nil, path)
	if err != nil {
		return time.Time{}, err
	}
	defer func() { _ = answer.Body.Close() }()
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(into); err != nil {
		return time.Time{}, fmt.Errorf("%s: read the answer: %w", what, err)
	}
	told, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		return time.Time{}, nil // it does not say
	}
	return told, nil
}

// Find is Get for what may be missing.
func (c *Client) Find(ctx context.Context, into any, path ...string) (found bool, err error) {
	err = c.Get(ctx, into, path...)
	if missing(err) {
		return false, nil
	}
	return err == nil, err
}

// Put makes or replaces what is at a path.
func (c *Client) Put(ctx context.Context, content any, path ...string) error {
	answer, _, err := c.call(ctx, http.MethodPut, content, path)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

// Delete removes what is at a path, if it is there.
func (c *Client) Delete(ctx context.Context, path ...string) error {
	answer, _, err := c.call(ctx, http.MethodDelete, nil, path)
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

func missing(err error) bool {
	var status *StatusError
	return errors.As(err, &status) && status.Code == http.StatusNotFound
}

// call returns an answer of success; close its body. what says in words what was asked.
func (c *Client) call(ctx context.Context, method string, content any, path []string) (answer *http.Response, what string, err error) {
	what = fmt.Sprintf("ask the broker's management API to %s %s", method, strings.Join(path, "/"))
	escaped := make([]string, len(path))
	for i, part := range path {
		escaped[i] = url.PathEscape(part)
	}
	var body io.Reader
	if content != nil {
		encoded, err := json.Marshal(content)
		if err != nil {
			return nil, what, fmt.Errorf("%s: %w", what, err)
		}
		body = bytes.NewReader(encoded)
	}
	address := *c.base
	address.User = nil
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(address.String(), "/")+"/api/"+strings.Join(escaped, "/"), body)
	if err != nil {
		return nil, what, fmt.Errorf("%s: %w", what, err)
	}
	request.Header.Set("Content-Type", "application/json")
	if c.base.User != nil {
		password, _ := c.base.User.Password()
		request.SetBasicAuth(c.base.User.Username(), password)
	}
	if answer, err = c.http.Do(request); err != nil {
		return nil, what, fmt.Errorf("%s: %w", what, err)
	}
	if answer.StatusCode >= http.StatusMultipleChoices {
		_ = answer.Body.Close()
		return nil, what, &StatusError{Code: answer.StatusCode, what: what}
	}
	return answer, what, nil
}
