package http

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/cupline/cupline/dispatcher/internal/dispatch"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/outcome"
)

// Limits of the driver.
const (
	dialTimeout = 5 * time.Second
	// idleTimeout is how long an unused connection is kept. A request written on a connection
	// that the device is just closing ends as no_answer, so it is shorter than the 5 s after
	// which common servers (Node's, Apache's) close theirs.
	idleTimeout = 4 * time.Second
	// idlePerDevice and idleTotal bound the connections kept.
	idlePerDevice = 64
	idleTotal     = 1024
	// maxHeader is the most bytes of a response's header.
	maxHeader = 16 << 10
)

// Driver is a dispatch.Driver. It is safe for concurrent use.
type Driver struct {
	client *http.Client
}

// New makes a driver that calls addresses in these networks only.
func New(allowed Networks) *Driver { return resolving(allowed, nil) }

// resolving is New with a resolver of its own; nil is the machine's.
func resolving(allowed Networks, resolver *net.Resolver) *Driver {
	// Control is asked for each address after the name was resolved, right before connecting to that very address: a name
	// that means something else a moment later gains nothing.
	dialer := &net.Dialer{Timeout: dialTimeout, Control: allowed.control, Resolver: resolver}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // HTTP/2 has its own ideas about repeating a request
	transport := &http.Transport{
		Protocols: protocols,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &counted{Conn: conn}, nil
		},
		TLSHandshakeTimeout:    dialTimeout,
		DisableCompression:     true,
		MaxIdleConns:           idleTotal,
		MaxIdleConnsPerHost:    idlePerDevice,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeader,
	}
	return &Driver{client: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close gives up the connections that are kept.
func (d *Driver) Close() { d.client.CloseIdleConnections() }

// Check says why the address is none for this driver.
func (d *Driver) Check(target dispatch.Target) error {
	_, err := parseAddress(target.Address)
	return err
}

func parseAddress(address []byte) (string, error) {
	var a struct {
		URL string `json:"url"`
	}
	if len(address) == 0 {
		return "", errors.New("the device has no address; the http driver needs {\"url\":\"http://...\"}")
	}
	if err := json.Unmarshal(address, &a); err != nil {
		return "", errors.New("the device's address is not {\"url\":\"http://...\"}")
	}
	u, err := url.Parse(a.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return "", errors.New("the device's address is not an http:// or https:// URL without a password in it")
	}
	return a.URL, nil
}

// Execute posts the call's request and reads its answer.
func (d *Driver) Execute(ctx context.Context, c *dispatch.Call) (jsonrpc.Response, error) {
	address, err := parseAddress(c.Address)
	if err != nil {
		return jsonrpc.Response{}, &dispatch.Failure{Reason: outcome.Undeliverable, Detail: err.Error()}
	}
	for {
		if c.Left() <= 0 {
			return jsonrpc.Response{}, dispatch.TooLate()
		}
		try := attempt{left: c.Left}
		response, err := d.post(try.trace(ctx), address, c) //nolint:bodyclose // read closes it
		switch {
		case err == nil:
			return read(response, c)
		case errors.Is(err, errTooLate):
			return jsonrpc.Response{}, dispatch.TooLate()
		case !try.nothingSent():
			return jsonrpc.Response{}, &dispatch.Failure{Reason: outcome.NoAnswer, Detail: reason(err)}
		case !try.reused.Load() || ctx.Err() != nil:
			return jsonrpc.Response{}, &dispatch.Failure{Reason: outcome.DeviceOffline, Detail: reason(err)}
		}
		// The device had closed the connection that was kept, and has none of the request.
		// Each turn of this loop uses up one such connection.
	}
}

func (d *Driver) post(ctx context.Context, address string, c *dispatch.Call) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(c.Request))
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	// NewRequest makes the body replayable; it must not be. The length stays.
	request.GetBody = nil
	request.Header.Set("Content-Type", envelope.ContentType)
	request.Header.Set("Accept", envelope.ContentType)
	request.Header.Set("User-Agent", "cupline")
	if c.Trace.Parent != "" { // W3C Trace Context
		request.Header.Set("traceparent", c.Trace.Parent)
		if c.Trace.State != "" {
			request.Header.Set("tracestate", c.Trace.State)
		}
	}
	return d.client.Do(request)
}

// read takes the answer out of a response, of which the status and the bytes decide.
func read(response *http.Response, c *dispatch.Call) (jsonrpc.Response, error) {
	defer func() { _ = response.Body.Close() }() // nothing more is wanted of it
	if response.StatusCode != http.StatusOK {
		return jsonrpc.Response{}, &dispatch.Failure{
			Reason: outcome.BadAnswer, Detail: fmt.Sprintf("the device answered with HTTP status %d", response.StatusCode),
		}
	}
	if response.ContentLength > int64(c.MaxAnswer) {
		return jsonrpc.Response{}, c.TooLong()
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, int64(c.MaxAnswer)+1))
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return jsonrpc.Response{}, &dispatch.Failure{Reason: outcome.NoAnswer, Detail: "the answer was not complete in time"}
	case err != nil:
		return jsonrpc.Response{}, &dispatch.Failure{Reason: outcome.BadAnswer, Detail: "the answer broke off"}
	}
	return c.Answer(body)
}

// reason is what to tell about a failed request: without its URL, which is the device's.
func reason(err error) string {
	var forbidden *forbiddenError
	if errors.As(err, &forbidden) {
		return forbidden.Error()
	}
	var of *url.Error
	if errors.As(err, &of) {
		err = of.Err
	}
	return err.Error()
}
