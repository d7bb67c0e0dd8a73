package cupline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/topology"
)

// SendOptions say more about a command; the zero value will do.
type SendOptions struct {
	// ID is the client's own name for the command, 1 to 128 characters; empty makes a UUID.
	// An id names one command for as long as the platform remembers it: sending the same
	// device, method and params with it again is not executed again.
	ID string
	// TTL is how long the command may wait before it is started; 0 leaves that to the
	// method's policy. The lane's own limit caps it.
	TTL time.Duration
	// OneWay sends without an id: there is no outcome, and posting again is a new command.
	OneWay bool
}

// Accepted is the platform's word that it has a command safe.
type Accepted struct {
	// ID is the client's own id as it was sent: a JSON string or integer; null for one-way.
	ID json.RawMessage `json:"id"`
	// CommandID is the platform's own UUID for this post.
	CommandID string `json:"command_id"`
	// ExpiresAt is when the command ends as expired unless it was started.
	ExpiresAt time.Time `json:"expires_at"`
}

// Send posts one command. params is marshalled as JSON and must become an object or an
// array; nil leaves it out. The error is
// ErrRefused or ErrInDoubt (errors.Is), and a *Problem (errors.As) where the platform
// answered.
func (c *Client) Send(ctx context.Context, device, method string, params any, opts SendOptions) (Accepted, error) {
	body, err := command(method, params, opts)
	if err != nil {
		return Accepted{}, fmt.Errorf("send %s to %s: %w: %w", method, device, ErrRefused, err)
	}
	return c.SendRaw(ctx, device, body, opts.TTL)
}

// SendRaw posts one JSON-RPC 2.0 request, no batch, as the bytes given. ttl is as in SendOptions.
func (c *Client) SendRaw(ctx context.Context, device string, body []byte, ttl time.Duration) (Accepted, error) {
	var accepted Accepted
	if _, err := jsonrpc.ParseRequest(body); err != nil {
		return accepted, fmt.Errorf("send to %s: %w: %w", device, ErrRefused, err)
	}
	err := c.post(ctx, device, body, ttl, &accepted)
	return accepted, err
}

// post sends a request or a batch.
func (c *Client) post(ctx context.Context, device string, body []byte, ttl time.Duration, into any) error {
	if err := topology.CheckID("device", device); err != nil {
		return fmt.Errorf("send: %w: %w", ErrRefused, err)
	}
	r := request{method: http.MethodPost, path: "/v1/devices/" + device + "/commands", body: body}
	if ttl != 0 {
		r.header = map[string]string{"Cupline-TTL": ttl.String()}
	}
	return c.do(ctx, r, into)
}

// command writes a JSON-RPC request: the same arguments give the same bytes, so that a
// repeated post is known as one.
func command(method string, params any, opts SendOptions) ([]byte, error) {
	rpc := struct {
		Version string          `json:"jsonrpc"`
		ID      string          `json:"id,omitempty"`
		Method  string          `json:"method"`
		Params  json.RawMessage `json:"params,omitempty"`
	}{Version: "2.0", ID: opts.ID, Method: method}
	switch {
	case opts.OneWay && opts.ID != "":
		return nil, errors.New("a one-way command has no id")
	case !opts.OneWay && opts.ID == "":
		rpc.ID = uuid.Must(uuid.NewV7()).String()
	}
	if params != nil {
		var err error
		if rpc.Params, err = marshal(params); err != nil {
			return nil, fmt.Errorf("params: %w", err)
		}
	}
	return marshal(rpc)
}

// marshal is json.Marshal without its escapes for HTML: nobody here reads it as that.
func marshal(value any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}
