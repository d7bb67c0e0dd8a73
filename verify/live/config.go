// Package live verifies a running installation: a bounded load of one client's, on devices of
// its own, and the check of all that came of it. It breaks nothing.
package live

import (
	"errors"
	"fmt"
	"time"

	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/verify/history"
	"github.com/cupline/cupline/verify/load"
)

// Limits of a run.
const (
	MinTime     = time.Second
	MaxTime     = time.Hour
	MinRate     = 0.1
	MaxRate     = 100.0
	MinPatience = time.Second
	MaxPatience = time.Hour
)

// Config of a run. API, Push and Key are required.
type Config struct {
	// API and Push are addresses, http:// and ws://.
	API, Push string
	// Key of a client that nobody else uses meanwhile, with the scopes commands:send, replies:read,
	// devices:read and devices:write. With ops:read too, dead letters and audit trail are checked.
	Key string
	// Seed of what is sent.
	Seed uint64
	// Time for which commands are sent, 1 s to 1 h, at a Rate of 0.1 to 100 a second.
	Time time.Duration
	Rate float64
	// Patience is how long outcomes may take after the last command, 1 s to 1 h: longer than
	// commands live in their queue.
	Patience time.Duration
	// Lane of the devices, which dispatchers have to serve; the default one when empty.
	Lane string
	// Web is host:port, of this machine, at which dispatchers reach the devices that speak HTTP;
	// none are played when empty.
	Web string
	// MQTT is the broker's listener and a user of it who may act as any device, and Tenant the
	// key's; without them no device is played that speaks MQTT.
	MQTT   load.MQTT
	Tenant string
	// Log takes the history.
	Log *history.Log
	// Progress is told of each step; may be nil.
	Progress func(format string, values ...any)
}

// Check reports every problem at once.
func (c Config) Check() error {
	var problems []error
	need := func(ok bool, format string, values ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, values...))
		}
	}
	need(c.API != "" && c.Push != "" && c.Key != "", "API, pusher and key are needed")
	need(c.Time >= MinTime && c.Time <= MaxTime, "time %s: must be %s to %s", c.Time, MinTime, MaxTime)
	need(c.Rate >= MinRate && c.Rate <= MaxRate, "rate %g: must be %g to %g a second", c.Rate, MinRate, MaxRate)
	need(c.Patience >= MinPatience && c.Patience <= MaxPatience, "patience %s: must be %s to %s", c.Patience, MinPatience, MaxPatience)
	need(c.MQTT.URL == "" || c.Tenant != "", "devices that speak MQTT need the key's tenant")
	if c.Lane != "" {
		problems = append(problems, topology.CheckID("lane", c.Lane))
	}
	if c.Tenant != "" {
		problems = append(problems, topology.CheckID("tenant", c.Tenant))
	}
	return errors.Join(problems...)
}
