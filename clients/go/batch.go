package cupline

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/cupline/cupline/schema/jsonrpc"
)

// States of an item of a batch.
const (
	ItemAccepted = "accepted"
	ItemRefused  = "refused"
	ItemInDoubt  = "in_doubt"
)

// Item is what became of one command of a batch.
type Item struct {
	// State is ItemAccepted, ItemRefused or ItemInDoubt.
	State string `json:"state"`
	// Accepted has its CommandID where the item was accepted, or is in doubt.
	Accepted
	// Problem is nil where it was accepted.
	Problem *Problem `json:"problem,omitempty"`
}

// Err is nil for an accepted item, else its *Problem.
func (i Item) Err() error {
	if i.State == ItemAccepted {
		return nil
	}
	if i.Problem == nil {
		return &Problem{Title: "the platform did not say why", ID: i.ID, InDoubt: i.State != ItemRefused}
	}
	return i.Problem
}

// UnmarshalJSON reads an item and marks the problem of one that is in doubt.
func (i *Item) UnmarshalJSON(b []byte) error {
	type plain Item // without this method
	if err := json.Unmarshal(b, (*plain)(i)); err != nil {
		return err
	}
	if i.Problem != nil {
		i.Problem.InDoubt = i.State != ItemRefused
	}
	return nil
}

// SendBatch posts an array of 1 to 100 JSON-RPC 2.0 requests, as the bytes given, and tells
// what became of each, in their order. It is checked whole first: the error is about all of
// it, and a *Problem then names the item that is wrong, or has each item's own end in Items.
// ttl is as in SendOptions.
func (c *Client) SendBatch(ctx context.Context, device string, body []byte, ttl time.Duration) ([]Item, error) {
	if _, batch, err := jsonrpc.ParseBatch(body); err != nil || !batch {
		if err == nil {
			err = &jsonrpc.FieldError{Field: "batch", Reason: "must be an array; see SendRaw for one request"}
		}
		return nil, fmt.Errorf("send to %s: %w: %w", device, ErrRefused, err)
	}
	var answer struct {
		Items []Item `json:"items"`
	}
	err := c.post(ctx, device, body, ttl, &answer)
	return answer.Items, err
}
