package httpapi

import (
	"errors"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/chassis/peer"
	"github.com/cupline/cupline/store/identity"
)

// Logins notes failed log-ins without blocking.
type Logins interface {
	Failed(claimed, from, why string)
}

// admit finds out who a request comes from. An address that failed too often is answered before anybody is asked, unless its key
// is one that is known here: a neighbour behind the same address goes on.
func (s *Server) admit(c echo.Context) (auth.Principal, error) {
	request := c.Request()
	header, address, now := request.Header.Get(echo.HeaderAuthorization), c.RealIP(), time.Now()
	after, empty := s.cfg.Failures.Empty(now, peer.Group(address))
	if empty && header != "" && !s.cfg.Verifier.Remembers(auth.Token(header)) {
		return auth.Principal{}, limited(after, "too many failed log-ins from this address")
	}
	who, err := auth.Authenticate(request.Context(), s.cfg.Verifier, header)
	if err == nil {
		return who, s.within(now, who)
	}
	var refused *problem.Problem
	if header == "" || !errors.As(err, &refused) || refused.Code != problem.Unauthorized {
		return who, err
	}
	s.cfg.Metrics.failed.Inc()
	if _, noted := s.cfg.Failures.Take(now, peer.Group(address), 1); noted && s.cfg.Logins != nil {
		s.cfg.Logins.Failed(identity.Claimed(auth.Token(header)), address, refused.Detail)
	}
	return who, err
}

// within holds a key to its rate.
func (s *Server) within(now time.Time, who auth.Principal) error {
	if after, ok := s.cfg.KeyRate.Take(now, who.Tenant+"/"+who.KeyID, 1); !ok {
		return limited(after, "this key's requests")
	}
	return nil
}

func limited(after time.Duration, what string) error {
	p := problem.New(problem.RateLimited, "%s", what)
	p.RetryAfter = after
	return p
}
