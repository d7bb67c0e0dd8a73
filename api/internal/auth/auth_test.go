package auth

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/store/identity"
)

type verifier map[string]error

func (v verifier) Remembers(string) bool { return false }

func (v verifier) Verify(_ context.Context, token string) (identity.Principal, error) {
	err, known := v[token]
	switch {
	case !known:
		return identity.Principal{}, identity.ErrUnknown
	case err != nil:
		return identity.Principal{}, err
	}
	return identity.Principal{Tenant: "acme", Client: "shop", KeyID: "k1", Scopes: []string{"commands:send"}}, nil
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	v := verifier{
		"good": nil, "gone": identity.ErrRevoked, "old": identity.ErrExpired, "away": identity.ErrUnavailable, "odd": errors.New("boom"),
	}
	for _, c := range []struct {
		header string
		code   problem.Code
		told   string
	}{
		{"Bearer good", "", ""},
		{"bearer  good ", "", ""},
		{"", problem.Unauthorized, "no Authorization header"},
		{"good", problem.Unauthorized, "has to be"},
		{"Basic good", problem.Unauthorized, "has to be"},
		{"Bearer ", problem.Unauthorized, "has to be"},
		{"Bearer " + strings.Repeat("x", maxToken+1), problem.Unauthorized, "has to be"},
		{"Bearer bad", problem.Unauthorized, "not known"},
		{"Bearer gone", problem.Unauthorized, "revoked"},
		{"Bearer old", problem.Unauthorized, "expired"},
		{"Bearer away", problem.DatabaseUnavailable, ""},
		{"Bearer odd", problem.Internal, ""},
	} {
		p, err := Authenticate(context.Background(), v, c.header)
		var got *problem.Problem
		switch {
		case c.code == "" && (err != nil || p.Tenant != "acme" || p.Client != "shop" || p.KeyID != "k1"):
			t.Errorf("%q: %+v, %v", c.header, p, err)
		case c.code == "":
		case !errors.As(err, &got) || got.Code != c.code || !strings.Contains(got.Detail, c.told):
			t.Errorf("%q: %v, want %s", c.header, err, c.code)
		case strings.Contains(got.Detail, "boom"):
			t.Errorf("%q: the cause is told", c.header)
		}
	}
}

func TestRequire(t *testing.T) {
	t.Parallel()
	p := Principal{scopes: []string{"commands:send"}}
	if err := Require(p, CommandsSend); err != nil {
		t.Error(err)
	}
	var got *problem.Problem
	if err := Require(p, DevicesWrite); !errors.As(err, &got) || got.Code != problem.Forbidden || got.Field != "devices:write" {
		t.Errorf("%v", err)
	}
	for _, s := range Scopes() {
		if !s.Known() {
			t.Errorf("%s", s)
		}
	}
	if Scope("commands").Known() || Scope("").Known() {
		t.Error("a scope that does not exist")
	}
}
