package app

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cupline/cupline/api/internal/httpapi"
	"github.com/cupline/cupline/api/internal/rates"
	"github.com/cupline/cupline/chassis/limits"
	"github.com/cupline/cupline/chassis/peer"
)

// Limits of a process, as the environment gives them. What is the contract with clients is no setting: 64 KiB and 100
// commands a request, and JSON nested 64 deep.
type Limits struct {
	KeyRate      float64  `env:"CUPLINE_KEY_RATE" default:"1000" doc:"requests a second of one key or token, in this process; bursts of twice as many; past it 429; 0 is no limit. A client that runs wild must not take the others' share"`
	ClientRate   float64  `env:"CUPLINE_CLIENT_RATE" default:"1000" doc:"commands a second of one client, in this process, as above; a batch counts as its commands"`
	DeviceRate   float64  `env:"CUPLINE_DEVICE_RATE" default:"500" doc:"commands a second for one device, in this process, as above: what no device executes would only expire in the lane"`
	FailedLogins float64  `env:"CUPLINE_FAILED_LOGINS" default:"5" doc:"failed log-ins a second of one address (an IPv6 /64), bursts of ten times as many; past it keys that are not in memory get 429 without being looked up; 0 is no limit"`
	Proxies      []string `env:"CUPLINE_TRUSTED_PROXIES" doc:"networks in CIDR notation, comma separated, of proxies whose X-Forwarded-For says where a request comes from; without them the peer's own address counts"`

	Connections int `env:"CUPLINE_MAX_CONNECTIONS" default:"20000" doc:"connections to the public port that are open at once; up to 256 more get 503, and further ones are closed as they come: each costs memory and a file descriptor; 1 to 1000000"`

	DeviceLogins int `env:"CUPLINE_DEVICE_FAILED_LOGINS" default:"10" doc:"failed log-ins a minute with one credential of a device, in this process; past it they are refused without a look at the database, which a device with a wrong password would ask without end; 1 to 1000000"`

	HeaderTimeout time.Duration `env:"CUPLINE_HEADER_TIMEOUT" default:"5s" doc:"for a request's header to arrive: a peer that is slow on purpose holds a connection no longer; 100ms to 1m"`
	ReadTimeout   time.Duration `env:"CUPLINE_READ_TIMEOUT" default:"15s" doc:"for a whole request to arrive, for the same reason; 1s to 5m"`
	WriteTimeout  time.Duration `env:"CUPLINE_WRITE_TIMEOUT" default:"30s" doc:"from a request's header to the end of its answer, the wait of a long poll aside: also who reads slowly lets go; 5s to 10m"`
	IdleTimeout   time.Duration `env:"CUPLINE_IDLE_TIMEOUT" default:"2m" doc:"for which a connection is kept for another request; 1s to 1h"`
}

// Check reports every problem.
func (l *Limits) Check() error {
	var problems []error
	for _, r := range []struct {
		name string
		rate float64
	}{
		{"CUPLINE_KEY_RATE", l.KeyRate}, {"CUPLINE_CLIENT_RATE", l.ClientRate}, {"CUPLINE_DEVICE_RATE", l.DeviceRate}, {"CUPLINE_FAILED_LOGINS", l.FailedLogins},
	} {
		if math.IsNaN(r.rate) || r.rate < 0 || r.rate > 1_000_000 {
			problems = append(problems, fmt.Errorf("%s is %v: must be 0 to 1000000", r.name, r.rate))
		}
	}
	for _, n := range []struct {
		name  string
		count int
	}{{"CUPLINE_MAX_CONNECTIONS", l.Connections}, {"CUPLINE_DEVICE_FAILED_LOGINS", l.DeviceLogins}} {
		if n.count < 1 || n.count > 1_000_000 {
			problems = append(problems, fmt.Errorf("%s is %d: must be 1 to 1000000", n.name, n.count))
		}
	}
	for _, t := range []struct {
		name           string
		d, least, most time.Duration
	}{
		{"CUPLINE_HEADER_TIMEOUT", l.HeaderTimeout, 100 * time.Millisecond, time.Minute},
		{"CUPLINE_READ_TIMEOUT", l.ReadTimeout, time.Second, 5 * time.Minute},
		{"CUPLINE_WRITE_TIMEOUT", l.WriteTimeout, 5 * time.Second, 10 * time.Minute},
		{"CUPLINE_IDLE_TIMEOUT", l.IdleTimeout, time.Second, time.Hour},
	} {
		if t.d < t.least || t.d > t.most {
			problems = append(problems, fmt.Errorf("%s is %s: must be %s to %s", t.name, t.d, t.least, t.most))
		}
	}
	_, err := l.proxies()
	return errors.Join(append(problems, err)...)
}

// proxies are the networks of Proxies.
func (l *Limits) proxies() (peer.Proxies, error) {
	return peer.ParseProxies("CUPLINE_TRUSTED_PROXIES", l.Proxies)
}

func (l *Limits) timeouts() httpapi.Timeouts {
	return httpapi.Timeouts{Header: l.HeaderTimeout, Read: l.ReadTimeout, Write: l.WriteTimeout, Idle: l.IdleTimeout}
}

// A bucket holds so many seconds' worth of its rate. As many as maxBuckets of a kind are kept.
const (
	bursts      = 2
	loginBursts = 10
	maxBuckets  = 100_000
)

func buckets(rate float64, seconds int) *limits.Buckets {
	return limits.New(rate, int(rate*float64(seconds)), maxBuckets)
}

// commands limits clients and devices.
func (l *Limits) commands() rates.Commands {
	return rates.Commands{Clients: buckets(l.ClientRate, bursts), Devices: buckets(l.DeviceRate, bursts)}
}
