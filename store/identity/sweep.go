package identity

import (
	"context"
	"errors"
	"time"
)

// findRevoked tells OnRevoke of every key that was revoked while notifications did not come.
func (v *Verifier) findRevoked(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, v.cfg.LoadTimeout)
	defer cancel()
	v.mu.Lock()
	since := v.since
	if v.live { // else the gap goes on, and Connected comes again
		v.since = time.Time{}
	}
	v.mu.Unlock()
	if since.IsZero() || v.cfg.OnRevoke == nil {
		return nil
	}
	keys, err := v.store.revokedFor(ctx, time.Since(since)+gapMargin)
	if err != nil {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.since = since
		return err
	}
	for _, k := range keys {
		v.keys.Drop(k.ID)
		v.cfg.OnRevoke(k.Tenant, k.Client, k.ID)
	}
	return nil
}

// findEnded tells OnRevoke of every key whose time was over since the last look, or a little before.
func (v *Verifier) findEnded(ctx context.Context) error {
	if v.cfg.OnRevoke == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, v.cfg.LoadTimeout)
	defer cancel()
	keys, err := v.store.endedFor(ctx, 2*v.cfg.FlushEvery+gapMargin)
	if err != nil {
		return err
	}
	for _, k := range keys {
		v.cfg.OnRevoke(k.Tenant, k.Client, k.ID)
	}
	return nil
}

// flush writes the uses since the last time; what cannot be written waits for the next.
func (v *Verifier) flush(ctx context.Context) error {
	v.mu.Lock()
	noted := v.uses
	v.uses = make(map[string]time.Time, len(noted))
	v.mu.Unlock()
	uses := make([]use, 0, len(noted))
	for keyID, at := range noted {
		uses = append(uses, use{keyID, at})
	}
	err := v.store.noteUses(ctx, uses)
	if err == nil {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for keyID, at := range noted {
		if later := v.uses[keyID]; later.Before(at) && len(v.uses) < v.cfg.Keys {
			v.uses[keyID] = at
		}
	}
	return err
}

// warmUp brings the keys of Warm into memory.
func (v *Verifier) warmUp(ctx context.Context) error {
	if v.cfg.Warm == "" {
		return nil
	}
	ids, err := v.store.withScope(ctx, v.cfg.Warm, mostWarm)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := v.keys.Get(ctx, id); err != nil && !errors.Is(err, ErrUnknown) {
			return err
		}
	}
	return nil
}
