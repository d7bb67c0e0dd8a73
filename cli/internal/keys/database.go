package keys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/identity"
)

func makeInDatabase(ctx context.Context, c *console.Console, tenant string, n cupline.NewKey) (created, error) {
	if err := errors.Join(topology.CheckName("tenant", tenant), topology.CheckID("client", n.Client)); err != nil {
		return created{}, exit.With(exit.Usage, err)
	}
	pool, err := connect.Database(ctx, c)
	if err != nil {
		return created{}, err
	}
	defer pool.Close()
	asked := identity.NewKey{Tenant: tenant, Client: n.Client, Name: n.Name, Scopes: n.Scopes, Expires: n.Expires}
	if n.Devices != nil {
		asked.Reach = *n.Devices
		if err := asked.Reach.Check(); err != nil {
			return created{}, exit.With(exit.Usage, err)
		}
	}
	token, key, err := Make(ctx, pool, asked)
	return created{ofStore(key), token}, err
}

// anyInDatabase tells whether some tenant has a key that was not revoked.
func anyInDatabase(ctx context.Context, c *console.Console) (bool, error) {
	pool, err := connect.Database(ctx, c)
	if err != nil {
		return false, err
	}
	defer pool.Close()
	return identity.New(pool).AnyKey(ctx)
}

func rotateInDatabase(ctx context.Context, c *console.Console, tenant, id string, r cupline.Rotation) (created, error) {
	pool, err := connect.Database(ctx, c)
	if err != nil {
		return created{}, err
	}
	defer pool.Close()
	token, key, err := identity.New(pool).RotateKey(ctx, tenant, id, time.Duration(r.Overlap), r.Expires)
	if err != nil {
		return created{}, fmt.Errorf("rotate key %s of tenant %s: %w", id, tenant, err)
	}
	return created{ofStore(key), token}, nil
}

// Make makes a key, and its tenant where that is missing.
func Make(ctx context.Context, pool *postgres.Pool, n identity.NewKey) (token string, key identity.Key, err error) {
	store := identity.New(pool)
	token, key, err = store.CreateKey(ctx, n)
	if errors.Is(err, identity.ErrNotFound) {
		if _, err := store.PutTenant(ctx, n.Tenant, n.Tenant); err != nil {
			return "", key, fmt.Errorf("make the tenant %s: %w", n.Tenant, err)
		}
		token, key, err = store.CreateKey(ctx, n)
	}
	if err != nil {
		return "", key, fmt.Errorf("make a key for client %s of tenant %s: %w", n.Client, n.Tenant, err)
	}
	return token, key, nil
}

func ofStore(k identity.Key) cupline.Key {
	told := cupline.Key{
		ID: k.ID, Client: k.Client, Name: k.Name, Scopes: k.Scopes, Replaces: k.Replaces,
		Created: k.Created, Expires: k.Expires, Revoked: k.Revoked, LastUsed: k.LastUsed,
	}
	if !k.Reach.All() {
		told.Devices = &k.Reach
	}
	return told
}

func readDatabase(ctx context.Context, c *console.Console, tenant string) ([]cupline.Key, error) {
	pool, err := connect.Database(ctx, c)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	store := identity.New(pool)
	var keys []cupline.Key
	for after := ""; ; {
		const page = 1000
		rows, err := store.Keys(ctx, tenant, after, page)
		if err != nil {
			return nil, fmt.Errorf("list the keys of tenant %s: %w", tenant, err)
		}
		for _, k := range rows {
			keys = append(keys, ofStore(k))
			after = k.ID
		}
		if len(rows) < page {
			return keys, nil
		}
	}
}

func revokeInDatabase(ctx context.Context, c *console.Console, tenant, id string) error {
	pool, err := connect.Database(ctx, c)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := identity.New(pool).RevokeKey(ctx, tenant, id); err != nil {
		return fmt.Errorf("revoke key %s of tenant %s: %w", id, tenant, err)
	}
	return nil
}
