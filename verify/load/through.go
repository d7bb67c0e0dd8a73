package load

import (
	"context"
	"errors"
	"fmt"
	"net/url"
)

// ClientLink begins the name of a link by which one client reaches a pusher.
const ClientLink = "client "

// through is the URL by which one device is reached, or reaches the broker.
func (l *Load) through(ctx context.Context, tenant, device, direct string) (string, error) {
	if l.cfg.Through == nil {
		return direct, nil
	}
	u, err := url.Parse(direct)
	if err != nil {
		return "", errors.New("put a link before a device: its URL cannot be read")
	}
	if u.Host, err = l.cfg.Through(ctx, device+" of "+tenant, u.Host); err != nil {
		return "", fmt.Errorf("put a link before device %s: %w", device, err)
	}
	return u.String(), nil
}
