package identity_test

import (
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/identity"
	"github.com/cupline/cupline/store/internal/storetest"
)

func setUp(t testing.TB, s *identity.Store) {
	t.Helper()
	for _, tenant := range []string{"acme", "other"} {
		if _, err := s.PutTenant(t.Context(), tenant, ""); err != nil {
			t.Fatal(err)
		}
	}
}

func create(t testing.TB, s *identity.Store, n identity.NewKey) (string, identity.Key) {
	t.Helper()
	token, key, err := s.CreateKey(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return token, key
}

func web() identity.NewKey {
	return identity.NewKey{Tenant: "acme", Client: "web", Name: "the web", Scopes: []string{"send", "listen"}}
}

func TestTenants(t *testing.T) {
	t.Parallel()
	s := identity.New(storetest.Database(t).Pool(t))
	if created, err := s.PutTenant(t.Context(), "acme", "Acme"); !created || err != nil {
		t.Errorf("created %v, %v", created, err)
	}
	if created, err := s.PutTenant(t.Context(), "acme", "Acme Ltd"); created || err != nil {
		t.Errorf("created again %v, %v", created, err)
	}
	if _, err := s.PutTenant(t.Context(), "a.b", ""); !errors.Is(err, store.ErrRefused) {
		t.Errorf("an id with a dot: %v", err)
	}
	want := []identity.Tenant{{ID: "acme", Name: "Acme Ltd"}, {ID: "system", Name: "Cupline itself"}}
	got, err := s.Tenants(t.Context(), "", 0)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(identity.Tenant{}, "Created")); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if got, err := s.Tenants(t.Context(), "acme", 1); err != nil || len(got) != 1 || got[0].ID != "system" {
		t.Errorf("the next page: %+v, %v", got, err)
	}
	create(t, s, web())
	for tenant, want := range map[string]error{"acme": identity.ErrInUse, "system": identity.ErrInUse, "nobody": identity.ErrNotFound} {
		if err := s.DeleteTenant(t.Context(), tenant); !errors.Is(err, want) {
			t.Errorf("delete %s: %v, want %v", tenant, err, want)
		}
	}
	setUp(t, s)
	if err := s.DeleteTenant(t.Context(), "other"); err != nil {
		t.Error(err)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	s := identity.New(pool)
	setUp(t, s)
	n := web()
	n.Expires = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	token, key := create(t, s, n)
	if !regexp.MustCompile(`^cup_[a-z2-7]{16}_[A-Za-z0-9_-]{43}$`).MatchString(token) || !strings.HasPrefix(token, "cup_"+key.ID+"_") {
		t.Errorf("the token's form: %s", token)
	}
	want := identity.Key{Tenant: "acme", Client: "web", Name: "the web", Scopes: []string{"send", "listen"}, Expires: n.Expires}
	if diff := cmp.Diff(want, key, cmpopts.IgnoreFields(key, "ID", "Created")); diff != "" {
		t.Error(diff)
	}
	var row string
	if err := pool.QueryRow(t.Context(), "select api_keys::text from api_keys").Scan(&row); err != nil || strings.Contains(row, token[21:]) {
		t.Errorf("the secret is kept: %s, %v", row, err)
	}
	_, second := create(t, s, identity.NewKey{Tenant: "acme", Client: "app"})
	for range 2 {
		if err := s.RevokeKey(t.Context(), "acme", key.ID); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := s.Keys(t.Context(), "acme", "", 0)
	if err != nil || len(keys) != 2 {
		t.Fatalf("%+v, %v", keys, err)
	}
	for _, k := range keys {
		if k.Revoked.IsZero() != (k.ID == second.ID) {
			t.Errorf("key of %s: revoked %v", k.Client, k.Revoked)
		}
	}
	if page, err := s.Keys(t.Context(), "acme", keys[0].ID, 1); err != nil || len(page) != 1 || page[0].ID != keys[1].ID {
		t.Errorf("the next page: %+v, %v", page, err)
	}
	if err := s.RevokeKey(t.Context(), "other", second.ID); !errors.Is(err, identity.ErrNotFound) {
		t.Errorf("another tenant revokes: %v", err)
	}
	if _, _, err := s.CreateKey(t.Context(), identity.NewKey{Tenant: "nobody", Client: "web"}); !errors.Is(err, identity.ErrNotFound) {
		t.Errorf("a key of no tenant: %v", err)
	}
	if _, _, err := s.CreateKey(t.Context(), identity.NewKey{Tenant: "acme", Client: "a/b"}); !errors.Is(err, store.ErrRefused) {
		t.Errorf("a client with a slash: %v", err)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	s := identity.New(pool)
	setUp(t, s)
	now := time.Now()
	v := identity.NewVerifier(s, identity.VerifierConfig{Now: func() time.Time { return now }, Negative: time.Hour, LoadTimeout: storetest.Patience})
	storetest.Started(t, v)
	storetest.Listen(t, pool, v)
	good, key := create(t, s, web())
	n := web()
	n.Expires = now.Add(time.Minute).Truncate(time.Millisecond)
	expiring, expiringKey := create(t, s, n)
	principal, err := v.Verify(t.Context(), good)
	if want := (identity.Principal{Tenant: "acme", Client: "web", KeyID: key.ID, Scopes: n.Scopes}); err != nil || !cmp.Equal(want, principal) {
		t.Errorf("%+v, %v", principal, err)
	}
	if p, err := v.Verify(t.Context(), expiring); err != nil || !p.Expires.Equal(n.Expires) {
		t.Errorf("%+v, %v", p, err)
	}
	otherSecret := "cup_" + key.ID + expiring[20:]
	for _, token := range []string{
		"", "cup_", otherSecret, "cup_aaaaaaaaaaaaaaaa" + good[20:], good + "x", good[:len(good)-1], strings.ToUpper(good),
		strings.Replace(good, "cup_", "cop_", 1), "cup_" + strings.Repeat("\x00", 16) + good[20:],
	} {
		if p, err := v.Verify(t.Context(), token); !errors.Is(err, identity.ErrUnknown) || p.Tenant != "" {
			t.Errorf("%q: %+v, %v", token, p, err)
		}
	}
	now = n.Expires
	if _, err := v.Verify(t.Context(), expiring); !errors.Is(err, identity.ErrExpired) {
		t.Errorf("at its end: %v", err)
	}
	if _, err := v.Verify(t.Context(), "cup_"+expiringKey.ID+good[20:]); !errors.Is(err, identity.ErrUnknown) {
		t.Errorf("a wrong secret learns that the key expired: %v", err)
	}
}

// revocations collects what OnRevoke is told.
type revocations struct {
	mu  sync.Mutex
	ids []string
}

func (r *revocations) add(tenant, client, keyID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids = append(r.ids, tenant+"/"+client+"/"+keyID)
}

func (r *revocations) has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, known := range r.ids {
		if known == id {
			return true
		}
	}
	return false
}

// A key is revoked by one process, and refused by two others; one of them was not listening.
func TestRevokedEverywhere(t *testing.T) {
	t.Parallel()
	db := storetest.Database(t)
	pool := db.Pool(t)
	s := identity.New(pool)
	setUp(t, s)
	var told [2]revocations
	var verifiers [2]*identity.Verifier
	for i := range verifiers {
		verifiers[i] = identity.NewVerifier(s, identity.VerifierConfig{OnRevoke: told[i].add, LoadTimeout: storetest.Patience})
		storetest.Started(t, verifiers[i])
	}
	storetest.Listen(t, storetest.Pool(t, db.URL(), "one", 1), verifiers[0])
	connected := storetest.Listen(t, storetest.Pool(t, db.URL(), "two", 1), verifiers[1])
	for _, gap := range []bool{false, true} {
		token, key := create(t, s, web())
		untouched, kept := create(t, s, web())
		for _, v := range verifiers {
			for _, token := range []string{token, untouched} {
				if _, err := v.Verify(t.Context(), token); err != nil {
					t.Fatal(err)
				}
			}
		}
		if gap {
			db.Cut(t, "two")
		}
		if err := s.RevokeKey(t.Context(), "acme", key.ID); err != nil {
			t.Fatal(err)
		}
		if gap {
			<-connected
		}
		for i, v := range verifiers {
			storetest.Eventually(t, "the key is refused", func() bool {
				_, err := v.Verify(t.Context(), token)
				return errors.Is(err, identity.ErrRevoked)
			})
			storetest.Eventually(t, "its sockets are told", func() bool { return told[i].has("acme/web/" + key.ID) })
			if _, err := v.Verify(t.Context(), untouched); err != nil || told[i].has("acme/web/"+kept.ID) {
				t.Errorf("gap %v: another key: %v", gap, err)
			}
		}
	}
}

func TestLastUseIsWrittenLazily(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	s := identity.New(pool)
	setUp(t, s)
	at := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	token, _ := create(t, s, web())
	_, unused := create(t, s, web())
	v := identity.NewVerifier(s, identity.VerifierConfig{Now: func() time.Time { return at }, LoadTimeout: storetest.Patience})
	if err := v.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Stop(t.Context()); err != nil { // writes what is left
		t.Fatal(err)
	}
	keys, err := s.Keys(t.Context(), "acme", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if want := map[bool]time.Time{false: at}[k.ID == unused.ID]; !k.LastUsed.Equal(want) {
			t.Errorf("last used %v, want %v", k.LastUsed, want)
		}
	}
}

func TestBelievedWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	db := storetest.Database(t)
	direct := identity.New(db.Pool(t))
	setUp(t, direct)
	known, _ := create(t, direct, web())
	unknown, _ := create(t, direct, web())
	chief, gone := web(), web()
	chief.Client, chief.Scopes = "chief", []string{"ops:platform"}
	gone.Client = "gone"
	warm, _ := create(t, direct, chief)
	proxy := db.Proxy(t)
	through := storetest.Pool(t, db.ProxyURL(proxy), "verifier", 2)
	v := identity.NewVerifier(identity.New(through), identity.VerifierConfig{LoadTimeout: storetest.Patience, FlushEvery: time.Millisecond, Warm: "ops:platform"})
	storetest.Started(t, v)
	connected := storetest.Listen(t, through, v)
	if _, err := v.Verify(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	storetest.Eventually(t, "an operator's key is known beforehand", func() bool { return v.Remembers(warm) })
	revoked, key := create(t, direct, gone)
	if _, err := v.Verify(t.Context(), revoked); err != nil {
		t.Fatal(err)
	}
	if err := direct.RevokeKey(t.Context(), "acme", key.ID); err != nil {
		t.Fatal(err)
	}
	storetest.Eventually(t, "the revocation is heard", func() bool {
		_, err := v.Verify(t.Context(), revoked)
		return errors.Is(err, identity.ErrRevoked)
	})
	storetest.Eventually(t, "and operators' keys are known again", func() bool { return v.Remembers(warm) })
	proxy.Refuse()
	if _, err := v.Verify(t.Context(), warm); err != nil {
		t.Errorf("an operator's key that was never used: %v", err)
	}
	if _, err := v.Verify(t.Context(), revoked); err == nil {
		t.Error("a revoked key is good again")
	}
	for range 3 {
		if _, err := v.Verify(t.Context(), known); err != nil {
			t.Errorf("a key in memory: %v", err)
		}
	}
	if _, err := v.Verify(t.Context(), unknown); !errors.Is(err, identity.ErrUnavailable) {
		t.Errorf("a key not in memory: %v", err)
	}
	proxy.Heal()
	<-connected
	for _, token := range []string{known, unknown} {
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Errorf("after that: %v", err)
		}
	}
	storetest.Eventually(t, "the uses that could not be written are", func() bool {
		keys, err := direct.Keys(t.Context(), "acme", "", 0)
		if err != nil || len(keys) != 4 {
			return false
		}
		for _, k := range keys {
			if k.LastUsed.IsZero() {
				return false
			}
		}
		return true
	})
}

func BenchmarkVerify(b *testing.B) {
	pool := storetest.Database(b).Pool(b)
	s := identity.New(pool)
	setUp(b, s)
	token, _ := create(b, s, web())
	v := identity.NewVerifier(s, identity.VerifierConfig{})
	storetest.Started(b, v)
	storetest.Listen(b, pool, v)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := v.Verify(b.Context(), token); err != nil {
				b.Fatal(err)
			}
		}
	})
}
