package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cupline/cupline/chassis/limits"
	"github.com/cupline/cupline/chassis/peer"
	"github.com/cupline/cupline/pusher/internal/feed"
	"github.com/cupline/cupline/pusher/internal/session"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/identity"
	"github.com/cupline/cupline/store/ledger"
	"github.com/cupline/cupline/store/mailbox"
)

// scope that a key needs to receive outcomes; the same as for reading the mailbox over HTTP.
const scope = "replies:read"

// verifier is session.Verifier on the keys' cache, and notes who was not let in. An address from where too many were not
// is answered before anybody is asked, unless the key is one that is known here: a neighbour behind the same address goes on.
type verifier struct {
	keys     *identity.Verifier
	logins   *audit.Logins
	failures *limits.Buckets
	failed   prometheus.Counter
}

func (v verifier) Verify(ctx context.Context, token, from string) (session.Principal, error) {
	now, group := time.Now(), peer.Group(from)
	if _, empty := v.failures.Empty(now, group); empty && !v.keys.Remembers(token) {
		v.failed.Inc()
		return session.Principal{}, session.ErrLimited
	}
	p, err := v.keys.Verify(ctx, token)
	switch {
	case err != nil:
		err = refused(err)
		if errors.Is(err, session.ErrBadToken) || errors.Is(err, session.ErrRevoked) {
			v.failed.Inc()
			if _, noted := v.failures.Take(now, group, 1); noted {
				v.logins.Failed(identity.Claimed(token), from, err.Error())
			}
		}
		return session.Principal{}, err
	case !slices.Contains(p.Scopes, scope):
		return session.Principal{}, session.ErrForbidden
	}
	return session.Principal{Tenant: p.Tenant, Client: p.Client, KeyID: p.KeyID, Expires: p.Expires}, nil
}

func (v verifier) Recheck(ctx context.Context, p session.Principal) error {
	return refused(v.keys.Recheck(ctx, identity.Principal{KeyID: p.KeyID, Expires: p.Expires}))
}

// refused says why somebody is not let in, in the session's words.
func refused(err error) error {
	switch {
	case errors.Is(err, identity.ErrRevoked):
		return session.ErrRevoked
	case errors.Is(err, identity.ErrUnknown), errors.Is(err, identity.ErrExpired):
		return fmt.Errorf("%w: %w", session.ErrBadToken, err)
	}
	return err
}

// counts is session.Mailbox on the store.
type counts struct{ store *mailbox.Store }

func (c counts) Counts(ctx context.Context, tenant, client string) (waiting, missed int64, err error) {
	found, err := c.store.Counts(ctx, tenant, client)
	return found.Waiting, found.Missed, err
}

// noteInLedger writes plain acks.
func noteInLedger(w *ledger.Writer) func(context.Context, []feed.Mark) error {
	return func(ctx context.Context, marks []feed.Mark) error {
		all := make([]ledger.DeliveredMark, len(marks))
		for i, m := range marks {
			all[i] = ledger.DeliveredMark{Tenant: m.Tenant, Client: m.Client, CommandID: m.ID}
		}
		return refusal(w.Delivered(ctx, all))
	}
}

// noteInMailbox writes acks of what may lie in the mailbox; they reach the ledger as well.
func noteInMailbox(s *mailbox.Store) func(context.Context, []feed.Mark) error {
	return func(ctx context.Context, marks []feed.Mark) error {
		all := make([]mailbox.AckMark, len(marks))
		for i, m := range marks {
			all[i] = mailbox.AckMark{Tenant: m.Tenant, Client: m.Client, CommandID: m.ID}
			if m.RawID != "" {
				all[i].RawID = []byte(m.RawID)
			}
		}
		return refusal(s.Ack(ctx, all))
	}
}

func refusal(err error) error {
	if errors.Is(err, store.ErrRefused) {
		return fmt.Errorf("%w: %w", feed.ErrRefused, err)
	}
	return err
}

// park keeps a message for operators.
func park(s *deadletter.Store) func(context.Context, deadletter.Letter, ...audit.Entry) error {
	return func(ctx context.Context, letter deadletter.Letter, lines ...audit.Entry) error {
		_, _, err := s.Park(ctx, letter, lines...)
		return err
	}
}
