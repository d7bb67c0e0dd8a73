package cupline

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/cupline/cupline/schema/device"
)

// RetentionTerms are for how long things are kept. What is nil is as the platform has it.
type RetentionTerms struct {
	// Letters that were redriven or discarded, and jobs.
	Letters *device.Duration `json:"letters,omitempty"`
	Audit   *device.Duration `json:"audit,omitempty"`
	// Ledger is the decided commands'.
	Ledger *device.Duration `json:"ledger,omitempty"`
	// Mailbox is that of outcomes which nobody fetched.
	Mailbox *device.Duration `json:"mailbox,omitempty"`
}

// Retention is a tenant's own terms, and those in force for it.
type Retention struct {
	Tenant  string         `json:"tenant"`
	Own     RetentionTerms `json:"own"`
	InForce RetentionTerms `json:"in_force"`
}

// Erasure of a client's payloads, or of a whole tenant's.
type Erasure struct {
	ErasureID string `json:"erasure_id"`
	// Client is empty for a whole tenant's.
	Client     string     `json:"client,omitempty"`
	State      string     `json:"state"` // running, waiting or done
	Actor      string     `json:"actor"`
	Reason     string     `json:"reason"`
	CreatedAt  time.Time  `json:"created_at"`
	DueAt      *time.Time `json:"due_at,omitempty"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
	Letters    int64      `json:"letters"`
	Outcomes   int64      `json:"outcomes"`
	Commands   int64      `json:"commands"`
}

// NewErasure asks for one: of Client, or of the WholeTenant.
type NewErasure struct {
	// Tenant, when it is not the key's own; it takes ops:platform.
	Tenant      string `json:"-"`
	Client      string `json:"client,omitempty"`
	WholeTenant bool   `json:"whole_tenant,omitempty"`
	Reason      string `json:"reason"`
	Actor       string `json:"actor,omitempty"`
}

// Retention tells for how long a tenant's things are kept; an empty tenant is the key's own.
func (c *Client) Retention(ctx context.Context, tenant string) (r Retention, err error) {
	err = c.do(ctx, request{method: http.MethodGet, path: "/v1/retention", query: ofTenant(tenant)}, &r)
	return r, err
}

// SetRetention replaces a tenant's own terms.
func (c *Client) SetRetention(ctx context.Context, tenant string, t RetentionTerms, reason, actor string) (r Retention, err error) {
	body := struct {
		RetentionTerms
		Reason string `json:"reason"`
		Actor  string `json:"actor,omitempty"`
	}{t, reason, actor}
	err = c.keep(ctx, http.MethodPut, "/v1/retention", tenant, body, &r)
	return r, err
}

// Erase asks for an erasure, which goes on by itself.
func (c *Client) Erase(ctx context.Context, n NewErasure) (e Erasure, err error) {
	err = c.keep(ctx, http.MethodPost, "/v1/erasures", n.Tenant, n, &e)
	return e, err
}

// Erasure tells how far one is.
func (c *Client) Erasure(ctx context.Context, tenant, id string) (e Erasure, err error) {
	err = c.do(ctx, request{method: http.MethodGet, path: "/v1/erasures/" + url.PathEscape(id), query: ofTenant(tenant)}, &e)
	return e, err
}

// Erasures lists a tenant's last 100, the newest first.
func (c *Client) Erasures(ctx context.Context, tenant string) ([]Erasure, error) {
	var found struct {
		Erasures []Erasure `json:"erasures"`
	}
	err := c.do(ctx, request{method: http.MethodGet, path: "/v1/erasures", query: ofTenant(tenant)}, &found)
	return found.Erasures, err
}

func (c *Client) keep(ctx context.Context, method, path, tenant string, body, into any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("%s %s: %w: %w", method, path, ErrRefused, err)
	}
	return c.do(ctx, request{method: method, path: path, query: ofTenant(tenant), body: content}, into)
}
