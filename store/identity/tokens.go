package identity

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/jwt"
)

// TokenSettings of services that take tokens of an issuer outside, as the environment gives them. Without JWKS they take none.
type TokenSettings struct {
	JWKS     string        `env:"CUPLINE_JWT_JWKS_URL" doc:"where the issuer of JSON Web Tokens publishes its keys, https://; without it only keys are taken. Signatures are RS256, ES256 or EdDSA"`
	Issuer   string        `env:"CUPLINE_JWT_ISSUER" doc:"iss that tokens must have; required with CUPLINE_JWT_JWKS_URL"`
	Audience []string      `env:"CUPLINE_JWT_AUDIENCE" doc:"aud that tokens must have one of, comma separated; required with CUPLINE_JWT_JWKS_URL"`
	Leeway   time.Duration `env:"CUPLINE_JWT_LEEWAY" default:"30s" doc:"by how much the issuer's clock may differ, for exp and nbf; 1s to 5m"`
	Refresh  time.Duration `env:"CUPLINE_JWT_REFRESH" default:"5m" doc:"how often the issuer's keys are read anew; also, at most every 10s, when a token names one that is not known; 10s to 24h"`
	Claims   ClaimNames
}

// Check reports every problem.
func (s *TokenSettings) Check() error {
	if s.JWKS == "" {
		if s.Issuer != "" || len(s.Audience) > 0 {
			return errors.New("CUPLINE_JWT_ISSUER and CUPLINE_JWT_AUDIENCE mean nothing without CUPLINE_JWT_JWKS_URL")
		}
		return nil
	}
	var problems []error
	if _, err := s.Verifier(nil, nil); err != nil {
		problems = append(problems, fmt.Errorf("CUPLINE_JWT_*: %w", err))
	}
	if s.Leeway < time.Second || s.Leeway > 5*time.Minute {
		problems = append(problems, fmt.Errorf("CUPLINE_JWT_LEEWAY is %s: must be 1s to 5m", s.Leeway))
	}
	if s.Refresh < 10*time.Second || s.Refresh > 24*time.Hour {
		problems = append(problems, fmt.Errorf("CUPLINE_JWT_REFRESH is %s: must be 10s to 24h", s.Refresh))
	}
	if s.Claims.Tenant == "" || s.Claims.Client == "" || s.Claims.Scope == "" {
		problems = append(problems, errors.New("CUPLINE_JWT_TENANT_CLAIM, CUPLINE_JWT_CLIENT_CLAIM and CUPLINE_JWT_SCOPE_CLAIM must not be empty"))
	}
	return errors.Join(problems...)
}

// Verifier of these tokens. now is database time.
func (s *TokenSettings) Verifier(now func() time.Time, log *zap.Logger) (*jwt.Verifier, error) {
	return jwt.New(jwt.Config{
		JWKS: s.JWKS, Issuer: s.Issuer, Audience: s.Audience, Leeway: s.Leeway, Refresh: s.Refresh, Now: now, Log: log,
	})
}
