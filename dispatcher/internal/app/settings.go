package app

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cupline/cupline/chassis/certs"
	"github.com/cupline/cupline/chassis/settings"
	"github.com/cupline/cupline/chassis/telemetry"
	"github.com/cupline/cupline/chassis/tracing"
	"github.com/cupline/cupline/dispatcher/internal/device/http"
	"github.com/cupline/cupline/schema/topology"
)

// Roles of a dispatcher process; a process may have both.
const (
	// RoleWork executes commands.
	RoleWork = "work"
	// RoleRecord settles what ended without an answer.
	RoleRecord = "record"
)

// Settings of a dispatcher, as the environment gives them.
type Settings struct {
	AMQPURL     settings.Secret `env:"AMQP_URL" required:"true" doc:"the broker, amqp:// or amqps://; several, comma separated, are tried in turn"`
	DatabaseURL settings.Secret `env:"DATABASE_URL" required:"true" doc:"Postgres, postgres://"`

	JanitorURL settings.Secret `env:"CUPLINE_JANITOR_DATABASE_URL" doc:"Postgres, as a member of cupline_janitor: this process then runs the janitor, which ends retention and erases; of all that do, one works. Without it no janitor runs here"`

	Roles []string `env:"CUPLINE_ROLES" default:"work,record" doc:"what this process does: work (execute commands), record (settle dead letters)"`
	Lanes []string `env:"CUPLINE_LANES" default:"default" doc:"lanes whose commands it executes; each has slots, prefetch and limits of its own"`

	Concurrency int `env:"CUPLINE_CONCURRENCY" default:"256" doc:"commands that execute at once on each lane, and the prefetch; 1 to 10000"`
	DeviceLimit int `env:"CUPLINE_DEVICE_LIMIT" default:"64" doc:"commands in flight for one device, in this process and lane; past it device_busy; 1 to 10000"`
	TenantLimit int `env:"CUPLINE_TENANT_LIMIT" default:"0" doc:"commands in flight for one tenant, in this process and lane; past it a command waits a second for room, then device_busy; 0 is half of CUPLINE_CONCURRENCY while another tenant has used the lane within ten minutes, and all of it for a tenant alone"`
	MaxAnswer   int `env:"CUPLINE_MAX_ANSWER" default:"262144" doc:"bytes of a device's answer; past it bad_answer; 1024 to 4194304"`

	HTTPNetworks string `env:"CUPLINE_HTTP_ALLOWED_NETWORKS" default:"10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7" doc:"networks that the http driver may call, in CIDR notation, comma separated; loopback and link-local are left out on purpose: the platform's own services listen there"`
	NoopDriver   bool   `env:"CUPLINE_NOOP_DRIVER" default:"false" doc:"adds the driver noop, which answers at once without a device; for benchmarks"`

	Retain         time.Duration `env:"CUPLINE_JANITOR_EVERY" default:"5m" doc:"how often the janitor looks after retention; 1s to 24h"`
	AckedRetention time.Duration `env:"CUPLINE_MAILBOX_ACKED_RETENTION" default:"1h" doc:"after which the janitor deletes acked outcomes; a copy that comes later is no longer known; 1m to 168h"`

	RecorderPrefetch int `env:"CUPLINE_RECORDER_PREFETCH" default:"256" doc:"dead letters in hand at once, those that wait for a lost worker's timeout included; 1 to 10000"`

	LedgerConnections   int   `env:"CUPLINE_LEDGER_CONNECTIONS" default:"1" doc:"batches of ledger writes under way at once; 1 to 4"`
	DatabaseConnections int32 `env:"CUPLINE_DATABASE_CONNECTIONS" default:"8" doc:"connections to Postgres besides the ledger's; 2 to 100"`

	InternalAddr string        `env:"CUPLINE_INTERNAL_ADDR" default:"127.0.0.1:9102" doc:"host:port of /healthz, /readyz, /metrics and /loglevel; it asks for no credentials"`
	Profiles     bool          `env:"CUPLINE_PROFILES" default:"false" doc:"Go's profiles at /debug/pprof/ of the internal port, for who may reach it"`
	Drain        time.Duration `env:"CUPLINE_DRAIN" default:"20s" doc:"how long commands that have started may go on at SIGTERM; 0s to 30m"`

	Broker certs.BrokerFiles

	Figures time.Duration `env:"CUPLINE_FIGURES_EVERY" default:"15s" doc:"pause between two looks at figures that only the broker or the database can tell; 1s to 10m"`

	Log   telemetry.LogConfig
	Trace tracing.Settings
}

// Check reports every problem that no single value shows.
func (s *Settings) Check() error {
	var problems []error
	inRange := func(name string, n, low, high int) {
		if n < low || n > high {
			problems = append(problems, fmt.Errorf("%s is %d: must be %d to %d", name, n, low, high))
		}
	}
	inRange("CUPLINE_CONCURRENCY", s.Concurrency, 1, 10_000)
	inRange("CUPLINE_DEVICE_LIMIT", s.DeviceLimit, 1, 10_000)
	inRange("CUPLINE_TENANT_LIMIT", s.TenantLimit, 0, 10_000)
	inRange("CUPLINE_MAX_ANSWER", s.MaxAnswer, 1024, 4<<20)
	inRange("CUPLINE_RECORDER_PREFETCH", s.RecorderPrefetch, 1, 10_000)
	inRange("CUPLINE_LEDGER_CONNECTIONS", s.LedgerConnections, 1, 4)
	if s.Retain < time.Second || s.Retain > 24*time.Hour {
		problems = append(problems, fmt.Errorf("CUPLINE_JANITOR_EVERY is %s: must be 1s to 24h", s.Retain))
	}
	if s.AckedRetention < time.Minute || s.AckedRetention > 168*time.Hour {
		problems = append(problems, fmt.Errorf("CUPLINE_MAILBOX_ACKED_RETENTION is %s: must be 1m to 168h", s.AckedRetention))
	}
	inRange("CUPLINE_DATABASE_CONNECTIONS", int(s.DatabaseConnections), 2, 100)
	if s.Figures < time.Second || s.Figures > 10*time.Minute {
		problems = append(problems, fmt.Errorf("CUPLINE_FIGURES_EVERY is %s: must be 1s to 10m", s.Figures))
	}
	if s.Drain < 0 || s.Drain > 30*time.Minute {
		problems = append(problems, fmt.Errorf("CUPLINE_DRAIN is %s: must be 0s to 30m", s.Drain))
	}
	if len(s.Roles) == 0 {
		problems = append(problems, errors.New("CUPLINE_ROLES is empty: name work, record or both"))
	}
	for _, role := range s.Roles {
		if role != RoleWork && role != RoleRecord {
			problems = append(problems, fmt.Errorf("CUPLINE_ROLES has %q: must be work or record", role))
		}
	}
	if s.has(RoleWork) && len(s.Lanes) == 0 {
		problems = append(problems, errors.New("CUPLINE_LANES is empty: the role work needs one"))
	}
	for i, lane := range s.Lanes {
		problems = append(problems, topology.CheckID("CUPLINE_LANES: lane", lane))
		if slices.Contains(s.Lanes[:i], lane) {
			problems = append(problems, fmt.Errorf("CUPLINE_LANES names %q twice", lane))
		}
	}
	if _, err := http.ParseNetworks(s.HTTPNetworks); err != nil {
		problems = append(problems, fmt.Errorf("CUPLINE_HTTP_ALLOWED_NETWORKS: %w", err))
	}
	return errors.Join(problems...)
}

func (s *Settings) has(role string) bool { return slices.Contains(s.Roles, role) }
