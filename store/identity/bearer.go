package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/cupline/cupline/chassis/jwt"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store"
)

// Tokens verifies what an issuer outside has signed: a jwt.Verifier.
type Tokens interface {
	Verify(ctx context.Context, token string) (jwt.Token, error)
}

// ClaimNames are those of the claims that say who a token stands for.
type ClaimNames struct {
	Tenant string `env:"CUPLINE_JWT_TENANT_CLAIM" default:"tenant" doc:"claim of a token that names the tenant, which must exist"`
	Client string `env:"CUPLINE_JWT_CLIENT_CLAIM" default:"sub" doc:"claim of a token that names the client; 1 to 64 of A-Z a-z 0-9 _ - @"`
	Scope  string `env:"CUPLINE_JWT_SCOPE_CLAIM" default:"scope" doc:"claim of a token with its scopes, a list or words with spaces between; those that are none of Cupline's do not count"`
}

// ErrToken says that a token is not good here. It is ErrUnknown, too.
var ErrToken = fmt.Errorf("%w: token not valid", ErrUnknown)

// SubjectPrefix leads Principal.KeyID of those who came with a token; its subject follows. No key's id has it.
const SubjectPrefix = "jwt:"

// bearer tells who a token stands for.
func (v *Verifier) bearer(ctx context.Context, token string) (Principal, error) {
	good, err := v.cfg.Tokens.Verify(ctx, token)
	switch {
	case errors.Is(err, jwt.ErrExpired):
		return Principal{}, ErrExpired
	case errors.Is(err, jwt.ErrUnavailable):
		return Principal{}, fmt.Errorf("verify a token: %w: %w", ErrUnavailable, err)
	case err != nil:
		return Principal{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	names := v.cfg.Claims
	p := Principal{
		Tenant: good.Claims.Text(names.Tenant), Client: good.Claims.Text(names.Client), Scopes: good.Claims.Words(names.Scope),
		KeyID: SubjectPrefix + subject(good.Subject), Expires: good.Expires,
	}
	if err := errors.Join(topology.CheckID("tenant", p.Tenant), topology.CheckID("client", p.Client)); err != nil {
		return Principal{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	if _, err := v.tenants.Get(ctx, p.Tenant); errors.Is(err, ErrNotFound) {
		return Principal{}, fmt.Errorf("%w: no such tenant", ErrToken)
	} else if err != nil {
		return Principal{}, fmt.Errorf("verify a token: %w", err)
	}
	return p, nil
}

// maxSubject bounds what is kept of a subject, for logs and the audit trail; in bytes.
const maxSubject = 64

func subject(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > maxSubject {
		s = strings.ToValidUTF8(s[:maxSubject], "")
	}
	return s
}

// known loads whether there is a tenant.
func (s *Store) known(ctx context.Context, tenant string) (struct{}, error) {
	_, err := s.tenantID(store.ForEveryTenant(ctx), tenant)
	return struct{}{}, err
}
