package cupline

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// Key is what is known of an API key; never its secret.
type Key struct {
	ID     string   `json:"key"`
	Client string   `json:"client"`
	Name   string   `json:"name,omitempty"`
	Scopes []string `json:"scopes"`
	// Created is database time. The others are zero for never; LastUsed lags a little.
	Created  time.Time `json:"created_at"`
	Expires  time.Time `json:"expires_at,omitzero"`
	Revoked  time.Time `json:"revoked_at,omitzero"`
	LastUsed time.Time `json:"last_used_at,omitzero"`
}

// NewKey asks for a key.
type NewKey struct {
	Client string   `json:"client"`
	Name   string   `json:"name,omitempty"`
	Scopes []string `json:"scopes"`
	// Expires zero means never.
	Expires time.Time `json:"expires_at,omitzero"`
}

// CreateKey makes a key. The token is told this once.
func (c *Client) CreateKey(ctx context.Context, n NewKey) (token string, key Key, err error) {
	body, err := json.Marshal(n)
	if err != nil {
		return "", Key{}, fmt.Errorf("make a key: %w: %w", ErrRefused, err)
	}
	var made struct {
		Key
		Token string `json:"token"`
	}
	err = c.do(ctx, request{method: http.MethodPost, path: keysPath, body: body}, &made)
	return made.Token, made.Key, err
}

// Keys lists the tenant's keys, the revoked included.
func (c *Client) Keys(ctx context.Context) iter.Seq2[Key, error] {
	return list[Key](ctx, c, keysPath, "keys")
}

// RevokeKey ends a key at once and for good.
func (c *Client) RevokeKey(ctx context.Context, id string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: keysPath + "/" + url.PathEscape(id)}, nil)
}
