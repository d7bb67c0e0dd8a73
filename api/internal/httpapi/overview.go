package httpapi

import (
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/api/internal/ops"
	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/store/ledger"
)

// overviewRoutes are those that show operators what is going on.
func overviewRoutes() []route {
	return []route{
		{http.MethodGet, "/v1/me", anyScope, (*Server).getMe},
		{http.MethodGet, "/v1/connected-clients", auth.OpsRead, (*Server).listClients},
		{http.MethodGet, "/v1/recent-commands", auth.OpsRead, stored((*Server).listRecent)},
		{http.MethodGet, "/v1/outcome-counts", auth.OpsRead, stored((*Server).countOutcomes)},
	}
}

// anyScope marks a route that every key may ask.
const anyScope auth.Scope = ""

// getMe tells whose key it is, so that a page can leave out what the key may not do.
func (s *Server) getMe(c echo.Context, who auth.Principal) error {
	scopes := []auth.Scope{}
	for _, scope := range auth.Scopes() {
		if who.Has(scope) {
			scopes = append(scopes, scope)
		}
	}
	return answer(c, http.StatusOK, map[string]any{"tenant": who.Tenant, "client": who.Client, "key": who.KeyID, "scopes": scopes})
}

// listClients waits for nothing but the broker's management API, and not for long.
func (s *Server) listClients(c echo.Context, who auth.Principal) error {
	if err := knownParams(c, "tenant", "limit"); err != nil {
		return err
	}
	tenant, err := tenantOf(c, who)
	if err != nil {
		return err
	}
	limit, err := limitParam(c, defaultPage, maxPage)
	if err != nil {
		return err
	}
	told := map[string]any{"known": false, "clients": []ops.Connection{}}
	all, err := s.cfg.Clients.Read(c.Request().Context())
	if err != nil {
		told["missing"] = err.Error() // for people; the figure is not worth an error
		return answer(c, http.StatusOK, told)
	}
	own := slices.DeleteFunc(slices.Clone(all), func(conn ops.Connection) bool { return conn.Tenant != tenant })
	told["known"], told["total"], told["clients"] = true, len(own), own[:min(len(own), limit)]
	if who.Has(auth.OpsPlatform) {
		told["platform_total"] = len(all)
	}
	return answer(c, http.StatusOK, told)
}

// recentCommand is one in the list of what the ledger saw last.
type recentCommand struct {
	command
	Client     string `json:"client"`
	DeviceType string `json:"device_type"`
	Reason     string `json:"reason,omitempty"`
}

func (s *Server) listRecent(c echo.Context, who auth.Principal) error {
	if err := knownParams(c, "tenant", "since", "client", "device", "method", "reason", "state", "limit"); err != nil {
		return err
	}
	limit, err := limitParam(c, defaultPage, maxPage)
	if err != nil {
		return err
	}
	choice := ledger.Choice{
		Client: c.QueryParam("client"), Device: c.QueryParam("device"), Method: c.QueryParam("method"),
		Reason: c.QueryParam("reason"), State: c.QueryParam("state"),
	}
	if !slices.Contains([]string{"", "open", "answered", "failed"}, choice.State) {
		return problem.New(problem.InvalidParameter, "must be open, answered or failed").At("state")
	}
	for name, value := range map[string]string{"client": choice.Client, "device": choice.Device, "method": choice.Method, "reason": choice.Reason} {
		if !storable(value) {
			return problem.New(problem.InvalidParameter, "must be UTF-8 without NUL").At(name)
		}
	}
	if choice.Tenant, err = tenantOf(c, who); err != nil {
		return err
	}
	if choice.Since, err = timeParam(c, "since"); err != nil {
		return err
	}
	rows, err := s.cfg.Ledger.Recent(c.Request().Context(), choice, limit)
	if err != nil {
		return err
	}
	commands := make([]recentCommand, len(rows))
	for i := range rows {
		commands[i] = recentCommand{command: commandOf(&rows[i]), Client: rows[i].Client, DeviceType: rows[i].DeviceType, Reason: rows[i].Reason}
	}
	return answer(c, http.StatusOK, map[string]any{"commands": commands})
}

// maxCounted is the longest time of which outcomes are counted.
const maxCounted = time.Hour

func (s *Server) countOutcomes(c echo.Context, who auth.Principal) error {
	if err := knownParams(c, "tenant", "window"); err != nil {
		return err
	}
	tenant, err := tenantOf(c, who)
	if err != nil {
		return err
	}
	window := 15 * time.Minute
	if text := c.QueryParam("window"); text != "" {
		if window, err = time.ParseDuration(text); err != nil || window <= 0 || window > maxCounted {
			return problem.New(problem.InvalidParameter, "must be a time such as 15m, %s at most", maxCounted).At("window")
		}
	}
	tally, err := s.cfg.Ledger.Count(c.Request().Context(), tenant, s.cfg.Clock.Now().Add(-window))
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, map[string]any{
		"from": tally.From.UTC(), "open": tally.Open, "answered": tally.Answered, "failed": tally.Failed,
	})
}
