// Package rates holds how many commands may be sent.
package rates

import (
	"time"

	"github.com/cupline/cupline/chassis/limits"
)

// Commands limits how many commands one client sends, and how many one device gets. It is intake's Rates.
type Commands struct {
	Clients, Devices *limits.Buckets
}

// Take takes n commands of a client for a device, or tells after how long they may come again.
func (c Commands) Take(now time.Time, tenant, client, device string, n int) (after time.Duration, ok bool) {
	if after, ok = c.Clients.Take(now, tenant+"/"+client, n); !ok {
		return after, false
	}
	return c.Devices.Take(now, tenant+"/"+device, n)
}
