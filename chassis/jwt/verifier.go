// Package jwt verifies JSON Web Tokens (RFC 7519) that somebody else has signed, with the keys that
// he publishes (JWKS, RFC 7517). Signatures are RS256, ES256 or EdDSA and nothing else: neither "none", nor
// an HMAC, whose secret would be the public key.
package jwt

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"go.uber.org/zap"
)

var (
	// ErrInvalid says that a token is none of the issuer's, or not meant for here, or not yet good.
	ErrInvalid = errors.New("token not valid")
	// ErrExpired says that a token's time is over.
	ErrExpired = errors.New("token expired")
	// ErrUnavailable says that the issuer's keys cannot be had now.
	ErrUnavailable = errors.New("the issuer's keys cannot be read")
)

// MaxToken is the longest token that is looked at, in bytes.
const MaxToken = 8 << 10

// Config of a Verifier.
type Config struct {
	// JWKS is where the issuer's keys are: https://, or http:// on this machine. Required.
	JWKS string
	// Issuer is the iss that tokens have to have. Required.
	Issuer string
	// Audience lists what aud has to have one of. Required.
	Audience []string
	// Leeway is by how much clocks may differ. Default 30 s.
	Leeway time.Duration
	// Refresh is how often the keys are read anew. Default 5 min.
	Refresh time.Duration
	// Now is the time; nil means this machine's.
	Now func() time.Time
	Log *zap.Logger
}

// Claims are what a good token says, by name.
type Claims map[string]json.RawMessage

// Token is a good one.
type Token struct {
	Subject string
	Expires time.Time
	Claims  Claims
}

// Verifier verifies tokens, with keys from memory. It is safe for concurrent use.
type Verifier struct {
	cfg  Config
	keys *keys
}

// New makes a verifier; Start keeps its keys fresh. The error says what is wrong with the settings.
func New(cfg Config) (*Verifier, error) {
	cfg.Leeway, cfg.Refresh = cmp.Or(cfg.Leeway, 30*time.Second), cmp.Or(cfg.Refresh, 5*time.Minute)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	if cfg.Issuer == "" || len(cfg.Audience) == 0 {
		return nil, errors.New("tokens need an issuer and an audience: without them anybody's tokens from the same keys would be good")
	}
	if err := checkURL(cfg.JWKS); err != nil {
		return nil, err
	}
	return &Verifier{cfg: cfg, keys: newKeys(cfg, &http.Client{
		Timeout:       fetchLimit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	})}, nil
}

// Start begins to read the keys, now and then again. It succeeds with the issuer away.
func (v *Verifier) Start(ctx context.Context) error { return v.keys.start(ctx) }

// Stop ends that.
func (v *Verifier) Stop(ctx context.Context) error { return v.keys.stop(ctx) }

// algorithms that are verified.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA}
}

// Looks reports whether a text has the form of a token: three parts, the first one a header. It says nothing of its worth.
func Looks(token string) bool {
	return strings.HasPrefix(token, "ey") && strings.Count(token, ".") == 2 && len(token) <= MaxToken
}

// Verify returns what a token says: ErrInvalid, ErrExpired, or ErrUnavailable when the key that it names is not known and
// the issuer does not answer.
func (v *Verifier) Verify(ctx context.Context, token string) (Token, error) {
	if !Looks(token) {
		return Token{}, fmt.Errorf("%w: it has not the form of one", ErrInvalid)
	}
	parsed, err := jwt.ParseSigned(token, algorithms())
	if err != nil {
		return Token{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	header := parsed.Headers[0] // of a compact token there is one
	if kind := header.ExtraHeaders[jose.HeaderType]; kind != nil && kind != "JWT" && kind != "at+jwt" {
		return Token{}, fmt.Errorf("%w: its type is %.40v", ErrInvalid, kind)
	}
	key, err := v.keys.find(ctx, header.KeyID, header.Algorithm)
	if err != nil {
		return Token{}, err
	}
	var said jwt.Claims
	claims := Claims{}
	if err := parsed.Claims(key, &said, &claims); err != nil {
		return Token{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := v.check(&said); err != nil {
		return Token{}, err
	}
	return Token{Subject: said.Subject, Expires: said.Expiry.Time(), Claims: claims}, nil
}

// check holds the registered claims to RFC 7519, 4.1.
func (v *Verifier) check(c *jwt.Claims) error {
	now := v.cfg.Now()
	switch {
	case c.Issuer != v.cfg.Issuer:
		return fmt.Errorf("%w: it is another issuer's", ErrInvalid)
	case !slices.ContainsFunc(c.Audience, func(a string) bool { return slices.Contains(v.cfg.Audience, a) }):
		return fmt.Errorf("%w: it is meant for somebody else", ErrInvalid)
	case c.Expiry == nil:
		return fmt.Errorf("%w: it never expires", ErrInvalid)
	case !now.Before(c.Expiry.Time().Add(v.cfg.Leeway)):
		return ErrExpired
	case c.NotBefore != nil && now.Add(v.cfg.Leeway).Before(c.NotBefore.Time()):
		return fmt.Errorf("%w: it is not good yet", ErrInvalid)
	}
	return nil
}

// Text is a claim that is a string; empty when it is none.
func (c Claims) Text(name string) (text string) {
	if json.Unmarshal(c[name], &text) != nil {
		return ""
	}
	return text
}

// Words is a claim that is a list of strings, or one string of words with spaces between (RFC 8693, 4.2).
func (c Claims) Words(name string) (words []string) {
	if json.Unmarshal(c[name], &words) == nil {
		return words
	}
	return strings.Fields(c.Text(name))
}
