package credential_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/store/credential"
	"github.com/cupline/cupline/store/identity"
	"github.com/cupline/cupline/store/internal/storetest"
	"github.com/cupline/cupline/store/registry"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// setUp makes a store with the device lamp-1 of two tenants.
func setUp(t *testing.T) *credential.Store {
	t.Helper()
	pool := storetest.Database(t).Pool(t)
	tenants, devices := identity.New(pool), registry.New(pool)
	for _, tenant := range []string{"acme", "other"} {
		_, err := tenants.PutTenant(t.Context(), tenant, "")
		if err == nil {
			_, err = devices.PutType(t.Context(), device.Type{Tenant: tenant, Name: "lamp", Lane: "default", Driver: "mqtt"})
		}
		if err == nil {
			_, err = devices.PutDevice(t.Context(), device.Device{Tenant: tenant, ID: "lamp-1", Type: "lamp"})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return credential.New(pool)
}

func create(t *testing.T, s *credential.Store, expires time.Time) (string, credential.Credential) {
	t.Helper()
	password, made, err := s.Create(t.Context(), "acme", "lamp-1", expires, false, 0)
	if err != nil {
		t.Fatal(err)
	}
	return password, made
}

func good(t *testing.T, s *credential.Store, device, password string) bool {
	t.Helper()
	_, err := s.Verify(t.Context(), "acme", device, password)
	if err != nil && !errors.Is(err, credential.ErrWrong) {
		t.Fatal(err)
	}
	return err == nil
}

func TestAPasswordIsGoodForItsDeviceAlone(t *testing.T) {
	t.Parallel()
	s := setUp(t)
	password, made := create(t, s, time.Time{})
	if id, err := s.Verify(t.Context(), "acme", "lamp-1", password); err != nil || id != made.ID || !strings.Contains(password, made.ID) {
		t.Errorf("%q of %+v: %q, %v", password, made, id, err)
	}
	if _, err := s.Verify(t.Context(), "other", "lamp-1", password); !errors.Is(err, credential.ErrWrong) {
		t.Errorf("of another tenant's device: %v", err)
	}
	for _, wrong := range []string{"", "x", password[:len(password)-1], password + "x", strings.ToUpper(password), password[:len(password)-1] + "~", "dev_" + made.ID + "_", strings.Replace(password, "_", "\x00", 1)} {
		if good(t, s, "lamp-1", wrong) {
			t.Errorf("%q is good", wrong)
		}
	}
	if good(t, s, "lamp-2", password) {
		t.Error("good for another device")
	}
	if _, _, err := s.Create(t.Context(), "acme", "lamp-2", time.Time{}, false, 0); !errors.Is(err, credential.ErrNoDevice) {
		t.Errorf("for no device: %v", err)
	}
	list, err := s.List(t.Context(), "acme", "lamp-1")
	if err != nil || len(list) != 1 || list[0].LastLogin.IsZero() {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestRevokedAndExpiredOnesAreNoGood(t *testing.T) {
	t.Parallel()
	s := setUp(t)
	revoked, made := create(t, s, time.Time{})
	expired, _ := create(t, s, time.Now().Add(-time.Second))
	for range 2 {
		if err := s.Revoke(t.Context(), "acme", "lamp-1", made.ID); err != nil {
			t.Fatal(err)
		}
	}
	if good(t, s, "lamp-1", revoked) || good(t, s, "lamp-1", expired) {
		t.Error("still good")
	}
	for _, of := range [][2]string{{"acme", "none"}, {"other", made.ID}} {
		if err := s.Revoke(t.Context(), of[0], "lamp-1", of[1]); !errors.Is(err, credential.ErrNotFound) {
			t.Errorf("revoke %v: %v", of, err)
		}
	}
}

func TestReplacingLetsTheOldOnesEnd(t *testing.T) {
	t.Parallel()
	s := setUp(t)
	old, _ := create(t, s, time.Time{})
	soon, _ := create(t, s, time.Now().Add(time.Minute))
	fresh, _, err := s.Create(t.Context(), "acme", "lamp-1", time.Time{}, true, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, password := range []string{old, soon, fresh} {
		if !good(t, s, "lamp-1", password) {
			t.Error("not good within the overlap")
		}
	}
	list, err := s.List(t.Context(), "acme", "lamp-1")
	if err != nil || len(list) != 3 || !list[0].Expires.IsZero() || time.Until(list[2].Expires) > time.Hour || time.Until(list[1].Expires) > time.Minute {
		t.Fatalf("%+v, %v", list, err)
	}
	last, _, err := s.Create(t.Context(), "acme", "lamp-1", time.Time{}, true, 0)
	if err != nil {
		t.Fatal(err)
	}
	if good(t, s, "lamp-1", old) || good(t, s, "lamp-1", fresh) || !good(t, s, "lamp-1", last) {
		t.Error("without overlap only the new one is good")
	}
}

func TestADeviceHasNoMoreThanItMay(t *testing.T) {
	t.Parallel()
	s := setUp(t)
	var all sync.WaitGroup
	refused := make(chan error, 20)
	for range 20 {
		all.Go(func() {
			if _, _, err := s.Create(t.Context(), "acme", "lamp-1", time.Time{}, false, 0); err != nil {
				refused <- err
			}
		})
	}
	all.Wait()
	close(refused)
	n := 0
	for err := range refused {
		n++
		if !errors.Is(err, credential.ErrTooMany) {
			t.Error(err)
		}
	}
	if n != 20-credential.MaxGood {
		t.Errorf("%d of 20 were refused", n)
	}
}
