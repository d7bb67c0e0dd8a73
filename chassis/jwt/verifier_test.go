package jwt_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"

	"github.com/cupline/cupline/chassis/jwt"
	"github.com/cupline/cupline/chassis/jwttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const audience = "cupline"

func verifier(t *testing.T, issuer *jwttest.Issuer) *jwt.Verifier {
	t.Helper()
	v, err := jwt.New(jwt.Config{JWKS: issuer.JWKS(), Issuer: issuer.URL(), Audience: []string{audience}})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return v
}

func TestGoodTokens(t *testing.T) {
	t.Parallel()
	issuer := jwttest.New(t)
	v := verifier(t, issuer)
	for _, key := range []string{"rsa", "ec", "ed"} {
		claims := issuer.Claims(audience)
		claims["scope"], claims["roles"] = "a b", []string{"c"}
		token, err := v.Verify(t.Context(), issuer.Sign(t, key, claims))
		if err != nil {
			t.Errorf("%s: %v", key, err)
			continue
		}
		if token.Subject != "somebody" || time.Until(token.Expires) < 59*time.Minute || len(token.Claims.Words("scope")) != 2 ||
			len(token.Claims.Words("roles")) != 1 || token.Claims.Text("roles") != "" || len(token.Claims.Words("none")) != 0 {
			t.Errorf("%s: %+v", key, token)
		}
	}
	several := issuer.Claims(audience)
	several["aud"] = []string{"other", audience}
	if _, err := v.Verify(t.Context(), issuer.Sign(t, "ec", several)); err != nil {
		t.Errorf("several audiences: %v", err)
	}
	// A token that names no key: there is one of that kind only.
	if _, err := v.Verify(t.Context(), jwttest.Sign(t, jose.ES256, issuer.Key("ec"), "", issuer.Claims(audience))); err != nil {
		t.Errorf("no key named: %v", err)
	}
}

func TestBadTokens(t *testing.T) {
	t.Parallel()
	issuer, stranger := jwttest.New(t), jwttest.New(t)
	v := verifier(t, issuer)
	with := func(name string, value any) map[string]any {
		claims := issuer.Claims(audience)
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
		return claims
	}
	now := time.Now()
	public := issuer.Key("rsa").(*rsa.PrivateKey).Public()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	asJSON, err := json.Marshal(jose.JSONWebKey{Key: public, KeyID: "rsa"})
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	body, err := json.Marshal(issuer.Claims(audience))
	if err != nil {
		t.Fatal(err)
	}
	good := issuer.Sign(t, "ed", issuer.Claims(audience))
	parts := strings.Split(good, ".")
	embedded, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: stranger.Key("ec")}, &jose.SignerOptions{EmbedJWK: true})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := embedded.Sign(body)
	if err != nil {
		t.Fatal(err)
	}
	own, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"none":                      text([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + text(body) + ".",
		"None":                      text([]byte(`{"alg":"None","kid":"rsa"}`)) + "." + text(body) + ".",
		"HMAC with the public key":  jwttest.Sign(t, jose.HS256, asPEM, "rsa", issuer.Claims(audience)),
		"HMAC with it as DER":       jwttest.Sign(t, jose.HS256, der, "rsa", issuer.Claims(audience)),
		"HMAC with it as JSON":      jwttest.Sign(t, jose.HS256, asJSON, "rsa", issuer.Claims(audience)),
		"HMAC with a published key": jwttest.Sign(t, jose.HS256, []byte("secret-secret-secret-secret-1234"), "secret", issuer.Claims(audience)),
		"an algorithm not taken":    jwttest.Sign(t, jose.PS256, issuer.Key("rsa"), "rsa", issuer.Claims(audience)),
		"a stranger's key":          stranger.Sign(t, "rsa", issuer.Claims(audience)),
		"its own key in the header": own,
		"another key's name":        jwttest.Sign(t, jose.EdDSA, issuer.Key("ed"), "rsa", issuer.Claims(audience)),
		"another issuer":            issuer.Sign(t, "ec", with("iss", "https://else.where")),
		"no issuer":                 issuer.Sign(t, "ec", with("iss", nil)),
		"another audience":          issuer.Sign(t, "ec", with("aud", "other")),
		"no audience":               issuer.Sign(t, "ec", with("aud", nil)),
		"no end":                    issuer.Sign(t, "ec", with("exp", nil)),
		"not yet":                   issuer.Sign(t, "ec", with("nbf", now.Add(time.Minute).Unix())),
		"changed":                   parts[0] + "." + text([]byte(strings.Replace(string(body), "somebody", "anybody", 1))) + "." + parts[2],
		"cut":                       parts[0] + "." + parts[1] + ".",
		"more parts":                good + ".x",
		"too long":                  parts[0] + "." + strings.Repeat("a", jwt.MaxToken) + "." + parts[2],
		"empty":                     "",
	} {
		if got, err := v.Verify(t.Context(), token); !errors.Is(err, jwt.ErrInvalid) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := v.Verify(t.Context(), issuer.Sign(t, "ec", with("exp", now.Add(-time.Minute).Unix()))); !errors.Is(err, jwt.ErrExpired) {
		t.Errorf("expired: %v", err)
	}
	// Within the leeway clocks may differ.
	for name, at := range map[string]time.Time{"exp": now.Add(-10 * time.Second), "nbf": now.Add(10 * time.Second)} {
		if _, err := v.Verify(t.Context(), issuer.Sign(t, "ec", with(name, at.Unix()))); err != nil {
			t.Errorf("%s within the leeway: %v", name, err)
		}
	}
}

// Keys that are turned over are found by the first token that names one; names that nobody has do not make us
// ask all the time; what was read serves while the issuer is away.
func TestKeysAreReadAnew(t *testing.T) {
	t.Parallel()
	issuer := jwttest.New(t)
	v := verifier(t, issuer)
	old := issuer.Sign(t, "ed", issuer.Claims(audience))
	if _, err := v.Verify(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	_, next, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issuer.Add("next", next)
	fresh := issuer.Sign(t, "next", issuer.Claims(audience))
	if _, err := v.Verify(t.Context(), fresh); err != nil {
		t.Errorf("a key that was added: %v", err)
	}
	for range 50 {
		unknown := jwttest.Sign(t, jose.EdDSA, next, "made-up", issuer.Claims(audience))
		if _, err := v.Verify(t.Context(), unknown); !errors.Is(err, jwt.ErrInvalid) {
			t.Fatal(err)
		}
	}
	if n := issuer.Asked(); n > 4 {
		t.Errorf("asked %d times", n)
	}
	issuer.Away(true)
	for _, token := range []string{old, fresh} {
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Errorf("with the issuer away: %v", err)
		}
	}
}

func TestIssuerAwayFromTheStart(t *testing.T) {
	t.Parallel()
	issuer := jwttest.New(t)
	issuer.Away(true)
	v := verifier(t, issuer)
	token := issuer.Sign(t, "ec", issuer.Claims(audience))
	if _, err := v.Verify(t.Context(), token); !errors.Is(err, jwt.ErrUnavailable) {
		t.Errorf("away: %v", err)
	}
	issuer.Away(false)
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Errorf("back: %v", err)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	t.Parallel()
	for _, cfg := range []jwt.Config{
		{JWKS: "https://a.example/jwks", Audience: []string{"x"}},
		{JWKS: "https://a.example/jwks", Issuer: "x"},
		{JWKS: "http://a.example/jwks", Issuer: "x", Audience: []string{"x"}},
		{JWKS: "jwks.json", Issuer: "x", Audience: []string{"x"}},
	} {
		if _, err := jwt.New(cfg); err == nil {
			t.Errorf("%+v passes", cfg)
		}
	}
}

func FuzzVerify(f *testing.F) {
	issuer := jwttest.New(f)
	v, err := jwt.New(jwt.Config{JWKS: issuer.JWKS(), Issuer: issuer.URL(), Audience: []string{audience}})
	if err != nil {
		f.Fatal(err)
	}
	good := issuer.Sign(f, "ed", issuer.Claims(audience))
	f.Add(good)
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = v.Stop(ctx) // never started
	})
	f.Fuzz(func(t *testing.T, token string) {
		signed := good[:strings.LastIndex(good, ".")]
		if _, err := v.Verify(t.Context(), token); err == nil && !strings.HasPrefix(token, signed) {
			t.Errorf("%q is good", token)
		}
	})
}
