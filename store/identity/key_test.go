package identity_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/identity"
	"github.com/cupline/cupline/store/internal/storetest"
)

func TestRotation(t *testing.T) {
	t.Parallel()
	s := identity.New(storetest.Database(t).Pool(t))
	setUp(t, s)
	verifier := identity.NewVerifier(s, identity.VerifierConfig{LoadTimeout: storetest.Patience})
	n := web()
	n.Reach = device.Reach{Pattern: "lamp-*", Labels: map[string]string{"site": "north"}}
	n.Expires = time.Now().Add(10 * time.Hour)
	oldToken, old := create(t, s, n)
	token, fresh, err := s.RotateKey(t.Context(), "acme", old.ID, time.Hour, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if fresh.Replaces != old.ID || fresh.Client != "web" || !slices.Equal(fresh.Scopes, n.Scopes) || fresh.Reach.Labels["site"] != "north" || fresh.ID == old.ID {
		t.Errorf("the new key is %+v", fresh)
	}
	if span := fresh.Expires.Sub(fresh.Created); span < 9*time.Hour || span > 11*time.Hour {
		t.Errorf("it is good for %s", span)
	}
	for _, one := range []string{oldToken, token} {
		if who, err := verifier.Verify(t.Context(), one); err != nil || who.Reach.Pattern != "lamp-*" {
			t.Errorf("during the overlap: %+v, %v", who, err)
		}
	}
	if kept, err := s.Key(t.Context(), "acme", old.ID); err != nil || time.Until(kept.Expires) > time.Hour+time.Minute {
		t.Errorf("the old key ends %v, %v", kept.Expires, err)
	}
	// A longer overlap does not bring back what was given up; none ends it at once.
	if _, _, err := s.RotateKey(t.Context(), "acme", old.ID, 100*time.Hour, time.Time{}); err != nil {
		t.Error(err)
	}
	if kept, err := s.Key(t.Context(), "acme", old.ID); err != nil || time.Until(kept.Expires) > time.Hour+time.Minute {
		t.Errorf("the old key ends %v, %v", kept.Expires, err)
	}
	if _, _, err := s.RotateKey(t.Context(), "acme", old.ID, 0, time.Time{}); err != nil {
		t.Error(err)
	}
	verifier.Notify(t.Context(), "", "changed acme web "+old.ID)
	if _, err := verifier.Verify(t.Context(), oldToken); !errors.Is(err, identity.ErrExpired) {
		t.Errorf("after its time: %v", err)
	}
	if _, _, err := s.RotateKey(t.Context(), "acme", old.ID, time.Hour, time.Time{}); !errors.Is(err, identity.ErrEnded) {
		t.Errorf("an ended key: %v", err)
	}
	if _, _, err := s.RotateKey(t.Context(), "other", fresh.ID, time.Hour, time.Time{}); !errors.Is(err, identity.ErrNotFound) {
		t.Errorf("another tenant rotates: %v", err)
	}
	if _, err := s.Key(t.Context(), "other", fresh.ID); !errors.Is(err, identity.ErrNotFound) {
		t.Errorf("another tenant reads: %v", err)
	}
}

// Outcomes are told to the client, so its keys reach the same devices; also those that are made at the same moment.
func TestKeysOfAClientReachTheSame(t *testing.T) {
	t.Parallel()
	s := identity.New(storetest.Database(t).Pool(t))
	setUp(t, s)
	narrow, wide := web(), web()
	narrow.Reach = device.Reach{Pattern: "lamp-*"}
	var all sync.WaitGroup
	made := make(chan identity.Key, 8)
	for i := range 8 {
		all.Go(func() {
			n := narrow
			if i%2 == 0 {
				n = wide
			}
			_, key, err := s.CreateKey(t.Context(), n)
			switch {
			case err == nil:
				made <- key
			case !errors.Is(err, identity.ErrReach):
				t.Error(err)
			}
		})
	}
	all.Wait()
	close(made)
	var keys []identity.Key
	for key := range made {
		keys = append(keys, key)
	}
	if len(keys) != 4 || slices.ContainsFunc(keys, func(k identity.Key) bool { return k.Reach.Pattern != keys[0].Reach.Pattern }) {
		t.Fatalf("made %+v", keys)
	}
	for _, key := range keys {
		if err := s.RevokeKey(t.Context(), "acme", key.ID); err != nil {
			t.Fatal(err)
		}
	}
	create(t, s, narrow)
	if _, _, err := s.CreateKey(t.Context(), wide); !errors.Is(err, identity.ErrReach) {
		t.Errorf("a wide one beside it: %v", err)
	}
	wide.Client = "desk"
	wide.Reach.Pattern = "*" // the same as none
	create(t, s, wide)
	wide.Reach.Pattern = ""
	create(t, s, wide)
}

// A session that began before a rotation ends when the overlap does.
func TestEndedKeysAreTold(t *testing.T) {
	t.Parallel()
	s := identity.New(storetest.Database(t).Pool(t))
	setUp(t, s)
	_, key := create(t, s, web())
	told := make(chan string, 100)
	v := identity.NewVerifier(s, identity.VerifierConfig{FlushEvery: 50 * time.Millisecond, LoadTimeout: storetest.Patience, OnRevoke: func(_, _, keyID string) {
		select {
		case told <- keyID:
		default:
		}
	}})
	if err := v.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.RotateKey(t.Context(), "acme", key.ID, 0, time.Time{}); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-told:
		if got != key.ID {
			t.Errorf("told of %s", got)
		}
	case <-time.After(storetest.Patience):
		t.Error("nobody was told")
	}
	if err := v.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestThePlatformsNameIsNoTenants(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	if _, err := identity.New(pool).PutTenant(t.Context(), "cupline", ""); !errors.Is(err, store.ErrRefused) {
		t.Error(err)
	}
	for _, statement := range []string{`insert into tenants (tenant) values ('cupline')`, `update lanes set lane = 'cupline'`} {
		if _, err := pool.Exec(t.Context(), statement); err == nil {
			t.Errorf("%s passes", statement)
		}
	}
}

// Of all who come with one ticket at the same moment, one is let in.
func TestATicketIsRedeemedOnce(t *testing.T) {
	t.Parallel()
	s := identity.New(storetest.Database(t).Pool(t))
	setUp(t, s)
	_, key := create(t, s, web())
	ticket, _, err := s.IssueTicket(t.Context(), identity.Principal{Tenant: "acme", Client: "web", KeyID: key.ID}, []string{"listen"})
	if err != nil || !identity.IsTicket(ticket) {
		t.Fatal(ticket, err)
	}
	if _, err := identity.NewVerifier(s, identity.VerifierConfig{LoadTimeout: storetest.Patience}).Verify(t.Context(), ticket); !errors.Is(err, identity.ErrUnknown) {
		t.Errorf("where no sockets are opened: %v", err)
	}
	v := identity.NewVerifier(s, identity.VerifierConfig{Tickets: true, LoadTimeout: storetest.Patience})
	var all sync.WaitGroup
	good := make(chan identity.Principal, 8)
	for range 8 {
		all.Go(func() {
			if who, err := v.Verify(t.Context(), ticket); err == nil {
				good <- who
			} else if !errors.Is(err, identity.ErrUnknown) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	close(good)
	if who := <-good; len(good) != 0 || who.Client != "web" || len(who.Scopes) != 1 || who.KeyID != key.ID {
		t.Errorf("let in: %+v and %d more", who, len(good))
	}
}
