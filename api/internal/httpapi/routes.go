package httpapi

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/store"
)

// route is one of the API: what it needs of a key, and who serves it.
type route struct {
	method, path string
	scope        auth.Scope
	serve        handler
}

type handler func(s *Server, c echo.Context, who auth.Principal) error

// storeLimit bounds what a request may wait for the database, so that one that hangs is told as one that is away.
const storeLimit = 5 * time.Second

// stored is a handler that waits for nothing but the database.
func stored(serve handler) handler {
	return func(s *Server, c echo.Context, who auth.Principal) error {
		request := c.Request()
		ctx, cancel := context.WithTimeout(request.Context(), storeLimit)
		defer cancel()
		c.SetRequest(request.WithContext(ctx))
		defer c.SetRequest(request) // whoever looks at its context later asks whether the client is there
		return serve(s, c, who)
	}
}

// routes lists all of them; schema/openapi.yaml has the same ones.
func routes() []route {
	return slices.Concat([]route{
		{http.MethodPost, "/v1/devices/:device/commands", auth.CommandsSend, (*Server).sendCommands},
		{http.MethodGet, "/v1/commands", auth.RepliesRead, stored((*Server).findCommands)},
		{http.MethodGet, "/v1/commands/:command_id", auth.RepliesRead, stored((*Server).getCommand)},
		{http.MethodGet, "/v1/mailbox", auth.RepliesRead, (*Server).readMailbox},
		{http.MethodPost, "/v1/mailbox/ack", auth.RepliesRead, stored((*Server).ackMailbox)},
		{http.MethodGet, "/v1/devices", auth.DevicesRead, stored((*Server).listDevices)},
		{http.MethodGet, "/v1/devices/:device", auth.DevicesRead, stored((*Server).getDevice)},
		{http.MethodPut, "/v1/devices/:device", auth.DevicesWrite, stored((*Server).putDevice)},
		{http.MethodDelete, "/v1/devices/:device", auth.DevicesWrite, stored((*Server).deleteDevice)},
		{http.MethodGet, "/v1/device-types", auth.DevicesRead, stored((*Server).listTypes)},
		{http.MethodGet, "/v1/device-types/:type", auth.DevicesRead, stored((*Server).getType)},
		{http.MethodPut, "/v1/device-types/:type", auth.DevicesWrite, stored((*Server).putType)},
		{http.MethodDelete, "/v1/device-types/:type", auth.DevicesWrite, stored((*Server).deleteType)},
		{http.MethodGet, "/v1/lanes", auth.DevicesRead, stored((*Server).listLanes)},
		{http.MethodGet, "/v1/keys", auth.TenantsAdmin, stored((*Server).listKeys)},
		{http.MethodPost, "/v1/keys", auth.TenantsAdmin, stored((*Server).createKey)},
		{http.MethodGet, "/v1/keys/:key", auth.TenantsAdmin, stored((*Server).getKey)},
		{http.MethodPost, "/v1/keys/:key/rotate", auth.TenantsAdmin, stored((*Server).rotateKey)},
		{http.MethodDelete, "/v1/keys/:key", auth.TenantsAdmin, stored((*Server).revokeKey)},
		{http.MethodPost, "/v1/tickets", auth.RepliesRead, stored((*Server).issueTicket)},
		{http.MethodGet, "/v1/tenants", auth.TenantsAdmin, stored((*Server).listTenants)},
		{http.MethodGet, "/v1/tenants/:tenant", auth.TenantsAdmin, stored((*Server).getTenant)},
		{http.MethodPut, "/v1/tenants/:tenant", auth.TenantsAdmin, stored((*Server).putTenant)},
		{http.MethodDelete, "/v1/tenants/:tenant", auth.TenantsAdmin, stored((*Server).deleteTenant)},
	}, deviceRoutes(), operatorRoutes(), overviewRoutes(), keepingRoutes())
}

// guarded lets in whoever has the scope.
func (s *Server) guarded(r route) echo.HandlerFunc {
	return func(c echo.Context) error {
		who, err := s.admit(c)
		c.Set(principalKey, who)
		if err != nil {
			return err
		}
		within(c, who.Tenant)
		if r.scope != anyScope {
			if err := auth.Require(who, r.scope); err != nil {
				return err
			}
		}
		return r.serve(s, c, who)
	}
}

// within lets the rest of the request see one tenant's rows: the wall behind every handler's own care.
func within(c echo.Context, tenant string) {
	request := c.Request()
	c.SetRequest(request.WithContext(store.ForTenant(request.Context(), tenant)))
}

// principalKey is where the request's principal stands for those who log it.
const principalKey = "principal"

func principal(c echo.Context) auth.Principal {
	who, _ := c.Get(principalKey).(auth.Principal)
	return who
}
