// Package auth finds out who a request comes from, and what that key may do.
package auth

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/chassis/jwt"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/store/identity"
)

// Scope is a right that a key carries.
type Scope string

// The scopes.
const (
	// CommandsSend: post commands.
	CommandsSend Scope = "commands:send"
	// RepliesRead: read and ack outcomes, and ask what became of commands.
	RepliesRead Scope = "replies:read"
	// DevicesRead and DevicesWrite: devices, device types, lanes.
	DevicesRead  Scope = "devices:read"
	DevicesWrite Scope = "devices:write"
	// OpsRead and OpsWrite: the tenant's dead letters and audit trail.
	OpsRead  Scope = "ops:read"
	OpsWrite Scope = "ops:write"
	// OpsPlatform: the same across tenants, and what belongs to the platform itself.
	OpsPlatform Scope = "ops:platform"
	// TenantsAdmin: the tenant's name and keys; with OpsPlatform every tenant's.
	TenantsAdmin Scope = "tenants:admin"
)

// Narrow lists the scopes of keys that reach some devices only. All others are about the whole tenant.
func Narrow() []Scope { return []Scope{CommandsSend, RepliesRead, DevicesRead} }

// Scopes lists all of them.
func Scopes() []Scope {
	return []Scope{CommandsSend, RepliesRead, DevicesRead, DevicesWrite, OpsRead, OpsWrite, OpsPlatform, TenantsAdmin}
}

// Known reports whether s is one of the scopes.
func (s Scope) Known() bool { return slices.Contains(Scopes(), s) }

// Principal is who a request comes from.
type Principal struct {
	Tenant string
	Client string
	KeyID  string
	// Expires zero means never.
	Expires time.Time
	// Reach is which of the tenant's devices it may see and command.
	Reach  device.Reach
	scopes []string // shared: must not be changed
}

// Actor is who it is in the audit trail: a key, or the subject of a token.
func (p Principal) Actor() string {
	if subject, is := strings.CutPrefix(p.KeyID, identity.SubjectPrefix); is {
		return "token of " + subject
	}
	return "key " + p.KeyID
}

// Has reports whether the key carries a scope.
func (p Principal) Has(s Scope) bool { return slices.Contains(p.scopes, string(s)) }

// Verifier answers who a token stands for, with the errors of store/identity.
type Verifier interface {
	Verify(ctx context.Context, token string) (identity.Principal, error)
	// Remembers reports whether Verify needs to ask nobody for this token.
	Remembers(token string) bool
}

// maxToken is the longest token that is looked at, in bytes.
const maxToken = jwt.MaxToken

// Authenticate reads an Authorization header (RFC 6750, 2.1). Its error is a
// *problem.Problem that tells no more than the caller's own token is worth.
func Authenticate(ctx context.Context, v Verifier, header string) (Principal, error) {
	if header == "" {
		return Principal{}, problem.New(problem.Unauthorized, "there is no Authorization header")
	}
	token := Token(header)
	if token == "" || len(token) > maxToken {
		return Principal{}, problem.New(problem.Unauthorized, "the Authorization header has to be: Bearer, a space, the key")
	}
	found, err := v.Verify(ctx, token)
	switch {
	case err == nil:
		return Principal{Tenant: found.Tenant, Client: found.Client, KeyID: found.KeyID, Reach: found.Reach, Expires: found.Expires, scopes: found.Scopes}, nil
	case errors.Is(err, identity.ErrRevoked):
		return Principal{}, problem.New(problem.Unauthorized, "the key was revoked")
	case errors.Is(err, identity.ErrExpired):
		return Principal{}, problem.New(problem.Unauthorized, "the key or token has expired")
	case errors.Is(err, identity.ErrToken):
		return Principal{}, problem.New(problem.Unauthorized, "the token is not valid here").Because(err)
	case errors.Is(err, identity.ErrUnknown):
		return Principal{}, problem.New(problem.Unauthorized, "the key is not known")
	case errors.Is(err, identity.ErrUnavailable):
		return Principal{}, problem.From(problem.DatabaseUnavailable, err)
	}
	return Principal{}, problem.From(problem.Internal, err)
}

// Token is what an Authorization header holds; empty when it is not one with a bearer token.
func Token(header string) string {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// Require returns a *problem.Problem unless the key carries the scope.
func Require(p Principal, s Scope) error {
	if p.Has(s) {
		return nil
	}
	return problem.New(problem.Forbidden, "the key lacks the scope %s", s).At(string(s))
}
