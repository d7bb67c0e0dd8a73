package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/store/credential"
)

// Admit makes a credential for the demo's device, in place of those that it has, and returns its password.
func Admit(ctx context.Context, pool *postgres.Pool) (password string, err error) {
	const replace, overlap = true, 0
	password, _, err = credential.New(pool).Create(ctx, Tenant, Device, time.Time{}, replace, overlap)
	if err != nil {
		return "", fmt.Errorf("make a credential for the demo's agent: %w", err)
	}
	return password, nil
}

// admitted tells whether a password is one of the demo's device that is good.
func admitted(ctx context.Context, pool *postgres.Pool, password string) bool {
	_, err := credential.New(pool).Verify(ctx, Tenant, Device, password)
	return err == nil
}
