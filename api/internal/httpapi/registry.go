package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/api/internal/catalog"
	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/registry"
)

func (s *Server) listDevices(c echo.Context, who auth.Principal) error {
	after, limit, err := page(c)
	if err != nil {
		return err
	}
	filter := registry.DeviceFilter{Type: c.QueryParam("type"), Text: c.QueryParam("text")}
	for name, value := range map[string]string{"type": filter.Type, "text": filter.Text} {
		if !storable(value) {
			return problem.New(problem.InvalidParameter, "must be UTF-8 without NUL").At(name)
		}
	}
	if !who.Reach.All() {
		return s.listReached(c, who, filter, after, limit)
	}
	devices, err := s.cfg.Registry.FindDevices(c.Request().Context(), who.Tenant, filter, after, limit)
	if err != nil {
		return err
	}
	return answerPage(c, "devices", devices, limit, func(d device.Device) string { return d.ID })
}

// maxLooks bounds how far one request looks for devices within a key's reach, in pages of the registry.
const maxLooks = 10

// listReached is a page of what the key reaches. It may be short, or empty, and say next all the same: the next request looks
// from there on.
func (s *Server) listReached(c echo.Context, who auth.Principal, filter registry.DeviceFilter, after string, limit int) error {
	reached := []device.Device{}
	for range maxLooks {
		all, err := s.cfg.Registry.FindDevices(c.Request().Context(), who.Tenant, filter, after, registry.MaxPage)
		if err != nil {
			return err
		}
		for _, d := range all {
			after = d.ID
			if who.Reach.Covers(d.ID, d.Labels) {
				if reached = append(reached, d); len(reached) == limit {
					return answer(c, http.StatusOK, map[string]any{"devices": reached, "next": after})
				}
			}
		}
		if len(all) < registry.MaxPage {
			return answer(c, http.StatusOK, map[string]any{"devices": reached})
		}
	}
	return answer(c, http.StatusOK, map[string]any{"devices": reached, "next": after})
}

func (s *Server) getDevice(c echo.Context, who auth.Principal) error {
	d, err := s.cfg.Registry.Device(c.Request().Context(), who.Tenant, param(c, "device"))
	if err != nil {
		return missing(err, problem.UnknownDevice)
	}
	if !who.Reach.Covers(d.ID, d.Labels) {
		return problem.From(problem.UnknownDevice, nil)
	}
	return answer(c, http.StatusOK, d)
}

func (s *Server) putDevice(c echo.Context, who auth.Principal) error {
	ctx, id := c.Request().Context(), param(c, "device")
	var body struct {
		Device  *string           `json:"device"`
		Type    string            `json:"type"`
		Address json.RawMessage   `json:"address"`
		Labels  map[string]string `json:"labels"`
	}
	if err := readInto(c, maxDevice, &body); err != nil {
		return err
	}
	if err := samePath("device", body.Device, id); err != nil {
		return err
	}
	d := device.Device{Tenant: who.Tenant, ID: id, Type: body.Type, Address: body.Address, Labels: body.Labels}
	if wrong := catalog.CheckDevice(d, ""); len(wrong) > 0 {
		return invalid(wrong)
	}
	kind, err := s.cfg.Registry.Type(ctx, who.Tenant, d.Type)
	if err != nil {
		return missing(err, problem.UnknownType).At("type")
	}
	if wrong := catalog.CheckDevice(d, kind.Driver); len(wrong) > 0 {
		return invalid(wrong)
	}
	created, err := s.cfg.Registry.PutDevice(ctx, d)
	switch {
	case errors.Is(err, registry.ErrNoType): // deleted since
		return problem.From(problem.UnknownType, nil).At("type")
	case err != nil:
		return err
	}
	s.record(c, who, audit.Entry{Action: "put_device", Device: id})
	if stands, err := s.cfg.Registry.Device(ctx, who.Tenant, id); err == nil {
		d.Paused = stands.Paused // which a put leaves as it was
	}
	return answer(c, createdOr200(created), d)
}

func (s *Server) deleteDevice(c echo.Context, who auth.Principal) error {
	id := param(c, "device")
	if err := s.cfg.Registry.DeleteDevice(c.Request().Context(), who.Tenant, id); err != nil {
		return missing(err, problem.UnknownDevice)
	}
	s.record(c, who, audit.Entry{Action: "delete_device", Device: id})
	return c.NoContent(http.StatusNoContent)
}

func (s *Server) listTypes(c echo.Context, who auth.Principal) error {
	after, limit, err := page(c)
	if err != nil {
		return err
	}
	types, err := s.cfg.Registry.Types(c.Request().Context(), who.Tenant, after, limit)
	if err != nil {
		return err
	}
	return answerPage(c, "device_types", types, limit, func(t device.Type) string { return t.Name })
}

func (s *Server) getType(c echo.Context, who auth.Principal) error {
	t, err := s.cfg.Registry.Type(c.Request().Context(), who.Tenant, param(c, "type"))
	if err != nil {
		return unknownPath(err)
	}
	return answer(c, http.StatusOK, t)
}

func (s *Server) putType(c echo.Context, who auth.Principal) error {
	name := param(c, "type")
	var body struct {
		Type    *string                  `json:"type"`
		Lane    string                   `json:"lane"`
		Driver  string                   `json:"driver"`
		Methods map[string]device.Method `json:"methods"`
	}
	if err := readInto(c, maxType, &body); err != nil {
		return err
	}
	if err := samePath("type", body.Type, name); err != nil {
		return err
	}
	t := device.Type{Tenant: who.Tenant, Name: name, Lane: body.Lane, Driver: body.Driver, Methods: body.Methods}
	if wrong := catalog.CheckType(t); len(wrong) > 0 {
		return invalid(wrong)
	}
	created, err := s.cfg.Registry.PutType(c.Request().Context(), t)
	switch {
	case errors.Is(err, registry.ErrNoLane):
		return problem.New(problem.UnknownLane, "no such lane, or not for this tenant").At("lane")
	case errors.Is(err, registry.ErrNotIdempotent):
		return problem.New(problem.NotIdempotent, "lane %s keeps no ledger: name the methods, each of them idempotent", t.Lane).At("methods")
	case err != nil:
		return err
	}
	s.record(c, who, audit.Entry{Action: "put_device_type", Lane: t.Lane, Detail: name})
	return answer(c, createdOr200(created), t)
}

func (s *Server) deleteType(c echo.Context, who auth.Principal) error {
	name := param(c, "type")
	err := s.cfg.Registry.DeleteType(c.Request().Context(), who.Tenant, name)
	switch {
	case errors.Is(err, registry.ErrInUse):
		return problem.New(problem.InUse, "devices have this type")
	case err != nil:
		return unknownPath(err)
	}
	s.record(c, who, audit.Entry{Action: "delete_device_type", Detail: name})
	return c.NoContent(http.StatusNoContent)
}

// lane is one that a tenant may use. Who else may is not told.
type lane struct {
	Lane      string          `json:"lane"`
	MaxTTL    device.Duration `json:"max_ttl"`
	MaxLength int64           `json:"max_length"`
	Ledger    bool            `json:"ledger"`
	// Paused is why its commands wait; Draining that they go to the recorder.
	Paused   *topology.Pause `json:"paused,omitempty"`
	Draining bool            `json:"draining,omitempty"`
}

func laneOf(l topology.Lane) lane {
	return lane{l.Name, device.Duration(l.MaxTTL), l.MaxLength, !l.LedgerOff, l.Paused, l.Draining}
}

func (s *Server) listLanes(c echo.Context, who auth.Principal) error {
	all, err := s.cfg.Registry.Lanes(c.Request().Context())
	if err != nil {
		return err
	}
	lanes := []lane{}
	for _, l := range all {
		if l.Allows(who.Tenant) {
			lanes = append(lanes, laneOf(l))
		}
	}
	return answer(c, http.StatusOK, map[string]any{"lanes": lanes})
}

// missing turns the store's "not found" into the word for it, and anything else into a fault.
func missing(err error, code problem.Code) *problem.Problem {
	if errors.Is(err, registry.ErrNotFound) {
		return problem.From(code, nil)
	}
	return fault(err)
}

// unknownPath is missing for the type that the path names: there it is 404, where a body names it 422.
func unknownPath(err error) *problem.Problem {
	if errors.Is(err, registry.ErrNotFound) {
		return problem.New(problem.NotFound, "no such device type")
	}
	return fault(err)
}

func invalid(list []string) error {
	p := problem.New(problem.InvalidDescription, "%s", list[0])
	p.List = list
	return p
}

// samePath refuses a body that names something else than its path.
func samePath(field string, said *string, path string) error {
	if said != nil && *said != path {
		return problem.New(problem.InvalidRequest, "must be absent, or what the path names").At(field)
	}
	return nil
}

func createdOr200(created bool) int {
	if created {
		return http.StatusCreated
	}
	return http.StatusOK
}
