package cupline

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"strconv"

	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/topology"
)

// pageSize is how many rows of a list are asked for at a time: the most that there are in a page.
const pageSize = 1000

// page is one page of a list; the rows stand in it under the list's own name.
type page map[string]json.RawMessage

// list walks over the pages of a list. It ends after the first error.
func list[T any](ctx context.Context, c *Client, path, name string) iter.Seq2[T, error] {
	return listWhere[T](ctx, c, path, name, nil)
}

// listWhere is list with further parameters.
func listWhere[T any](ctx context.Context, c *Client, path, name string, where map[string]string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		query := map[string]string{"limit": strconv.Itoa(pageSize)}
		maps.Copy(query, where)
		for {
			var p page
			if err := c.do(ctx, request{method: http.MethodGet, path: path, query: query}, &p); err != nil {
				yield(none, err)
				return
			}
			rows, next, err := readPage[T](p, name)
			if err != nil {
				yield(none, fmt.Errorf("list %s: %w", name, err))
				return
			}
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			query["after"] = next
		}
	}
}

func readPage[T any](p page, name string) (rows []T, next string, err error) {
	if err := json.Unmarshal(p[name], &rows); err != nil {
		return nil, "", err
	}
	if raw, more := p["next"]; more {
		err = json.Unmarshal(raw, &next)
	}
	return rows, next, err
}

// one reads, writes or deletes what has a name of its own below a path.
func (c *Client) one(ctx context.Context, method, path, field, id string, body, into any) error {
	if err := topology.CheckID(field, id); err != nil {
		return fmt.Errorf("%s %s: %w: %w", method, path, ErrRefused, err)
	}
	r := request{method: method, path: path + "/" + id}
	if body != nil {
		var err error
		if r.body, err = json.Marshal(body); err != nil {
			return fmt.Errorf("%s %s: %w: %w", method, path, ErrRefused, err)
		}
	}
	return c.do(ctx, r, into)
}

const (
	devicesPath = "/v1/devices"
	typesPath   = "/v1/device-types"
	keysPath    = "/v1/keys"
)

// Devices lists the tenant's devices in byte order of their ids.
func (c *Client) Devices(ctx context.Context) iter.Seq2[device.Device, error] {
	return list[device.Device](ctx, c, devicesPath, "devices")
}

// Device is one device; ErrNotFound when there is none.
func (c *Client) Device(ctx context.Context, id string) (d device.Device, err error) {
	err = c.one(ctx, http.MethodGet, devicesPath, "device", id, nil, &d)
	return d, err
}

// PutDevice makes or replaces a device and returns it as it stands.
func (c *Client) PutDevice(ctx context.Context, d device.Device) (stands device.Device, err error) {
	d.Paused = nil // a put does not change it
	err = c.one(ctx, http.MethodPut, devicesPath, "device", d.ID, d, &stands)
	return stands, err
}

// DeleteDevice deletes a device; ErrNotFound when there is none.
func (c *Client) DeleteDevice(ctx context.Context, id string) error {
	return c.one(ctx, http.MethodDelete, devicesPath, "device", id, nil, nil)
}

// DeviceTypes lists the tenant's device types in byte order of their names.
func (c *Client) DeviceTypes(ctx context.Context) iter.Seq2[device.Type, error] {
	return list[device.Type](ctx, c, typesPath, "device_types")
}

// DeviceType is one device type; ErrNotFound when there is none.
func (c *Client) DeviceType(ctx context.Context, name string) (t device.Type, err error) {
	err = c.one(ctx, http.MethodGet, typesPath, "type", name, nil, &t)
	return t, err
}

// PutDeviceType makes or replaces a device type and returns it as it stands.
func (c *Client) PutDeviceType(ctx context.Context, t device.Type) (stands device.Type, err error) {
	err = c.one(ctx, http.MethodPut, typesPath, "type", t.Name, t, &stands)
	return stands, err
}

// DeleteDeviceType deletes a device type that no device has.
func (c *Client) DeleteDeviceType(ctx context.Context, name string) error {
	return c.one(ctx, http.MethodDelete, typesPath, "type", name, nil, nil)
}

// Lane is what a tenant is told of a lane.
type Lane struct {
	Name string `json:"lane"`
	// MaxTTL caps every command's time in the queue, MaxLength how many may wait.
	MaxTTL    device.Duration `json:"max_ttl"`
	MaxLength int64           `json:"max_length"`
	// Ledger false: delivery is at least once.
	Ledger bool `json:"ledger"`
}

// Lanes lists the lanes that the tenant may use.
func (c *Client) Lanes(ctx context.Context) ([]Lane, error) {
	var answer struct {
		Lanes []Lane `json:"lanes"`
	}
	err := c.do(ctx, request{method: http.MethodGet, path: "/v1/lanes"}, &answer)
	return answer.Lanes, err
}
