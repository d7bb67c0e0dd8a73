package cupline

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/cupline/cupline/schema/device"
)

// DeviceCredential is what is known of what a device logs in to the broker with; never its password.
type DeviceCredential struct {
	ID string `json:"credential"`
	// Created is database time. The others are zero for never; LastLogin is true to the minute.
	Created   time.Time `json:"created_at"`
	Expires   time.Time `json:"expires_at,omitzero"`
	Revoked   time.Time `json:"revoked_at,omitzero"`
	LastLogin time.Time `json:"last_login_at,omitzero"`
}

// NewDeviceCredential asks for one.
type NewDeviceCredential struct {
	// Expires zero means never.
	Expires time.Time `json:"expires_at,omitzero"`
	// Overlap, where it is set, replaces those that the device has: they end after that time. 0 to 720 h.
	Overlap *device.Duration `json:"overlap,omitempty"`
}

// DeviceLogin is a new credential with what the device needs of it.
type DeviceLogin struct {
	DeviceCredential
	// Username is TENANT/DEVICE, and the MQTT client id as well, or what that begins with before a slash.
	Username string `json:"username"`
	// Password is told this once.
	Password string `json:"password"`
}

// CreateDeviceCredential makes a credential for a device.
func (c *Client) CreateDeviceCredential(ctx context.Context, id string, n NewDeviceCredential) (DeviceLogin, error) {
	body, err := json.Marshal(n)
	if err != nil {
		return DeviceLogin{}, fmt.Errorf("make a credential: %w: %w", ErrRefused, err)
	}
	var made DeviceLogin
	err = c.do(ctx, request{method: http.MethodPost, path: credentialsPath(id), body: body}, &made)
	return made, err
}

// DeviceCredentials lists those of a device, the newest first, the revoked and expired included.
func (c *Client) DeviceCredentials(ctx context.Context, id string) ([]DeviceCredential, error) {
	var answer struct{ Credentials []DeviceCredential }
	err := c.do(ctx, request{method: http.MethodGet, path: credentialsPath(id)}, &answer)
	return answer.Credentials, err
}

// RevokeDeviceCredential ends one at once and for good; a connection that it made stays until it ends.
func (c *Client) RevokeDeviceCredential(ctx context.Context, id, credential string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: credentialsPath(id) + "/" + url.PathEscape(credential)}, nil)
}

func credentialsPath(id string) string {
	return devicesPath + "/" + url.PathEscape(id) + "/credentials"
}
