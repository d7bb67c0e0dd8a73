package cupline

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// Tenant is the boundary of isolation: every device, key and outcome belongs to one.
type Tenant struct {
	ID string `json:"tenant"`
	// Name is for people.
	Name    string    `json:"name"`
	Created time.Time `json:"created_at"`
}

const tenantsPath = "/v1/tenants"

// Tenants lists the tenants that the key may see: its own, or with the scope ops:platform all.
func (c *Client) Tenants(ctx context.Context) iter.Seq2[Tenant, error] {
	return list[Tenant](ctx, c, tenantsPath, "tenants")
}

// PutTenant makes a tenant, or renames it.
func (c *Client) PutTenant(ctx context.Context, id, name string) (stands Tenant, err error) {
	err = c.one(ctx, http.MethodPut, tenantsPath, "tenant", id, map[string]string{"name": name}, &stands)
	return stands, err
}

// DeleteTenant deletes a tenant that has no keys, device types and devices.
func (c *Client) DeleteTenant(ctx context.Context, id string) error {
	return c.one(ctx, http.MethodDelete, tenantsPath, "tenant", id, nil, nil)
}
