package cupline

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"time"

	"github.com/cupline/cupline/schema/device"
)

// Key is what is known of an API key; never its secret.
type Key struct {
	ID     string   `json:"key"`
	Client string   `json:"client"`
	Name   string   `json:"name,omitempty"`
	Scopes []string `json:"scopes"`
	// Devices is which of the tenant's it may see and command; nil for all.
	Devices *device.Reach `json:"devices,omitempty"`
	// Replaces is the id of the key that it was made in place of.
	Replaces string `json:"replaces,omitempty"`
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
	// Devices narrows the key; nil for every device of the tenant.
	Devices *device.Reach `json:"devices,omitempty"`
	// Expires zero means never.
	Expires time.Time `json:"expires_at,omitzero"`
}

// CreateKey makes a key. The token is told this once.
func (c *Client) CreateKey(ctx context.Context, n NewKey) (token string, key Key, err error) {
	return c.CreateKeyOf(ctx, "", n)
}

// CreateKeyOf makes a key of another tenant, which takes the scope ops:platform. Empty is the own one.
func (c *Client) CreateKeyOf(ctx context.Context, tenant string, n NewKey) (token string, key Key, err error) {
	return c.madeKey(ctx, keysPath, tenant, n)
}

// Rotation asks for a key in place of another.
type Rotation struct {
	// Overlap is how long both are good; 0 ends the old one at once.
	Overlap device.Duration `json:"overlap"`
	// Expires zero gives the new one the span that the old one had.
	Expires time.Time `json:"expires_at,omitzero"`
}

// RotateKey makes a key like another, which stays good for the overlap. tenant is empty for the own one.
func (c *Client) RotateKey(ctx context.Context, tenant, id string, r Rotation) (token string, key Key, err error) {
	return c.madeKey(ctx, keysPath+"/"+url.PathEscape(id)+"/rotate", tenant, r)
}

func (c *Client) madeKey(ctx context.Context, path, tenant string, asked any) (token string, key Key, err error) {
	body, err := json.Marshal(asked)
	if err != nil {
		return "", Key{}, fmt.Errorf("make a key: %w: %w", ErrRefused, err)
	}
	var made struct {
		Key
		Token string `json:"token"`
	}
	err = c.do(ctx, request{method: http.MethodPost, path: path, query: ofTenant(tenant), body: body}, &made)
	return made.Token, made.Key, err
}

func ofTenant(tenant string) map[string]string {
	if tenant == "" {
		return nil
	}
	return map[string]string{"tenant": tenant}
}

// Keys lists the tenant's keys, the revoked included.
func (c *Client) Keys(ctx context.Context) iter.Seq2[Key, error] { return c.KeysOf(ctx, "") }

// KeysOf lists another tenant's keys, which takes the scope ops:platform. Empty is the own one.
func (c *Client) KeysOf(ctx context.Context, tenant string) iter.Seq2[Key, error] {
	return listWhere[Key](ctx, c, keysPath, "keys", ofTenant(tenant))
}

// Key is one key; ErrNotFound when there is none. tenant is empty for the own one.
func (c *Client) Key(ctx context.Context, tenant, id string) (key Key, err error) {
	err = c.do(ctx, request{method: http.MethodGet, path: keysPath + "/" + url.PathEscape(id), query: ofTenant(tenant)}, &key)
	return key, err
}

// RevokeKey ends a key at once and for good.
func (c *Client) RevokeKey(ctx context.Context, id string) error { return c.RevokeKeyOf(ctx, "", id) }

// RevokeKeyOf is RevokeKey for another tenant's key, which takes the scope ops:platform.
func (c *Client) RevokeKeyOf(ctx context.Context, tenant, id string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: keysPath + "/" + url.PathEscape(id), query: ofTenant(tenant)}, nil)
}
