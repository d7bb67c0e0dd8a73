package livetest

import (
	"context"
	"crypto/rand"
	"net/url"
	"strings"
	"testing"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/chassis/postgrestest"
	"github.com/cupline/cupline/cli/internal/exit"
)

func TestServicesGetUsersOfTheirOwn(t *testing.T) {
	t.Parallel()
	database := postgrestest.New(t, nil)
	s := shell{"DATABASE_URL": database.URL()}
	if _, errs, code := s.run(t, "migrate", "up"); code != exit.OK {
		t.Fatal(errs)
	}
	if _, errs, code := s.run(t, "migrate", "logins"); code != exit.Usage || !strings.Contains(errs, "CUPLINE_DATABASE_URL_API") {
		t.Errorf("with no user named it ends with %d: %s", code, errs)
	}
	suffix := strings.ToLower(rand.Text()[:12])
	as := func(name, password string) string {
		u, err := url.Parse(database.URL())
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword(name+"_"+suffix, password)
		return u.String()
	}
	t.Cleanup(func() {
		pool := database.Pool(t)
		defer pool.Close()
		for _, name := range []string{"a_", "w_"} {
			if _, err := pool.Exec(context.Background(), "drop role if exists "+name+suffix); err != nil {
				t.Error(err)
			}
		}
	})
	s["CUPLINE_DATABASE_URL_API"] = as("a", "p@ss/word")
	s["CUPLINE_DATABASE_URL_DISPATCHER"], s["CUPLINE_DATABASE_URL_RECORDER"] = as("w", "one"), as("w", "two")
	if _, errs, code := s.run(t, "migrate", "logins"); code != exit.Usage || !strings.Contains(errs, "another password") || strings.Contains(errs, "p@ss") {
		t.Errorf("with two passwords for one user it ends with %d: %s", code, errs)
	}
	s["CUPLINE_DATABASE_URL_RECORDER"] = as("w", "one")
	for range 2 {
		if out, errs, code := s.run(t, "migrate", "logins"); code != exit.OK || !strings.Contains(errs, "[cupline_dispatcher cupline_recorder]") || strings.Contains(out+errs, "word") {
			t.Fatalf("it ends with %d: %s%s", code, out, errs)
		}
	}
	for of, query := range map[string]string{"CUPLINE_DATABASE_URL_API": "select 1 from tenants limit 0", "CUPLINE_DATABASE_URL_DISPATCHER": "select 1 from ledger limit 0"} {
		pool := postgrestest.Open(t, postgres.Config{URL: s[of], MaxConns: 1})
		if _, err := pool.Exec(t.Context(), query); err != nil {
			t.Errorf("%s: %v", of, err)
		}
		pool.Close()
	}
}
