package app

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/cupline/cupline/chassis/certs"
	"github.com/cupline/cupline/chassis/peer"
	"github.com/cupline/cupline/chassis/settings"
	"github.com/cupline/cupline/chassis/telemetry"
	"github.com/cupline/cupline/chassis/tracing"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/identity"
)

// Settings of a pusher, as the environment gives them.
type Settings struct {
	AMQPURL       settings.Secret `env:"AMQP_URL" required:"true" doc:"the broker, amqp:// or amqps://; several, comma separated, are tried in turn"`
	DatabaseURL   settings.Secret `env:"DATABASE_URL" required:"true" doc:"Postgres, postgres://"`
	ManagementURL settings.Secret `env:"RABBITMQ_MANAGEMENT_URL" doc:"the broker's management API, with user and password; without it slots of pushers that are gone for good are not pruned"`

	Slot   string   `env:"CUPLINE_SLOT" doc:"this pusher's slot, a name that no other running pusher has and that stays the same when it restarts; default: the host's name, which a StatefulSet numbers"`
	Listen string   `env:"CUPLINE_LISTEN" default:"127.0.0.1:8081" doc:"host:port for clients"`
	Origin []string `env:"CUPLINE_ORIGINS" doc:"origins whose pages may connect (https://app.example.com), comma separated, besides the host they connect to; * allows all"`

	Connections       int `env:"CUPLINE_MAX_CONNECTIONS" default:"50000" doc:"sockets at once; past it 4104; 1 to 1000000"`
	TenantConnections int `env:"CUPLINE_MAX_TENANT_CONNECTIONS" default:"0" doc:"sockets of one tenant at once, in this process, so that none takes the room of all; past it 4104; 0 is as many as CUPLINE_MAX_CONNECTIONS"`
	ClientConnections int `env:"CUPLINE_MAX_CLIENT_CONNECTIONS" default:"16" doc:"sockets of one client at once; past it 4104; 1 to 1000"`

	FrameRate    float64  `env:"CUPLINE_FRAME_RATE" default:"100" doc:"frames a second from one socket, bursts of ten times as many; past it 4102. Acks of what was sent are free, a token counts ten: a client that runs wild must not take the others' share; 0 is no limit"`
	FailedLogins float64  `env:"CUPLINE_FAILED_LOGINS" default:"5" doc:"failed log-ins a second of one address (an IPv6 /64), bursts of ten times as many; past it 4102 for keys that are not in memory, without being looked up; 0 is no limit"`
	Proxies      []string `env:"CUPLINE_TRUSTED_PROXIES" doc:"networks in CIDR notation, comma separated, of proxies whose X-Forwarded-For says where a socket comes from; without them the peer's own address counts"`

	Window      int           `env:"CUPLINE_WINDOW" default:"64" doc:"outcomes sent and not acked on one socket; a client may ask for fewer; 1 to 1024"`
	WindowBytes int           `env:"CUPLINE_WINDOW_BYTES" default:"262144" doc:"bytes of them; an empty window takes one outcome of any size; 1024 to 16777216"`
	Unacked     time.Duration `env:"CUPLINE_UNACKED" default:"5s" doc:"after which an unacked outcome goes to the mailbox, and the session lags; 100ms to 1m"`
	AckTimeout  time.Duration `env:"CUPLINE_ACK_TIMEOUT" default:"30s" doc:"after which a socket that acks nothing is closed (4202); 200ms to 10m"`
	LagDwell    time.Duration `env:"CUPLINE_LAG_DWELL" default:"500ms" doc:"least time in lag; 1ms to 1m"`

	Hello     time.Duration `env:"CUPLINE_HELLO_TIMEOUT" default:"10s" doc:"in which hello is due (4003), and a request's head; 100ms to 1m"`
	BindLimit time.Duration `env:"CUPLINE_BIND_TIMEOUT" default:"30s" doc:"for which a client waits for its binding before 4103; 1s to 5m"`
	Ping      time.Duration `env:"CUPLINE_PING" default:"25s" doc:"silence of the client after which it is asked for a sign of life; 100ms to 10m"`
	Pong      time.Duration `env:"CUPLINE_PONG_TIMEOUT" default:"10s" doc:"for which it may stay silent then (4201); 100ms to 10m"`
	Reconnect time.Duration `env:"CUPLINE_RECONNECT_WINDOW" default:"60s" doc:"for which a lost client stays bound; 0s to 10m"`
	Patience  time.Duration `env:"CUPLINE_BROKER_PATIENCE" default:"30s" doc:"for which sockets are kept without a broker; then they are closed with 4103; 100ms to 1h"`

	Prefetch        int           `env:"CUPLINE_PREFETCH" default:"4096" doc:"outcomes taken and not settled; past half of it those go to the mailbox that are older than CUPLINE_CROWDED; 2 to 65535"`
	Crowded         time.Duration `env:"CUPLINE_CROWDED" default:"500ms" doc:"see CUPLINE_PREFETCH; 10ms to 1m"`
	MailboxPrefetch int           `env:"CUPLINE_MAILBOX_PREFETCH" default:"512" doc:"outcomes taken and not yet stored in mailboxes; 1 to 65535"`

	MailboxOutcomes int64 `env:"CUPLINE_MAILBOX_OUTCOMES" default:"10000" doc:"quota of one client's mailbox, in outcomes; 1 to 100000000"`
	MailboxBytes    int64 `env:"CUPLINE_MAILBOX_BYTES" default:"67108864" doc:"and in bytes of responses; 1024 to 1099511627776"`

	SlotFree time.Duration `env:"CUPLINE_SLOT_FREE" default:"10m" doc:"after which a slot that no pusher holds is pruned; 1s to 24h"`

	DatabaseConnections int32 `env:"CUPLINE_DATABASE_CONNECTIONS" default:"8" doc:"connections to Postgres besides the ledger's one; 2 to 100"`

	InternalAddr string        `env:"CUPLINE_INTERNAL_ADDR" default:"127.0.0.1:9103" doc:"host:port of /healthz, /readyz, /metrics and /loglevel; it asks for no credentials"`
	Profiles     bool          `env:"CUPLINE_PROFILES" default:"false" doc:"Go's profiles at /debug/pprof/ of the internal port, for who may reach it"`
	Drain        time.Duration `env:"CUPLINE_DRAIN" default:"20s" doc:"over which clients are sent elsewhere at SIGTERM, at most; 0s to 30m"`

	TLS    certs.ServerFiles
	Broker certs.BrokerFiles

	Figures time.Duration `env:"CUPLINE_FIGURES_EVERY" default:"15s" doc:"pause between two looks at figures that only the broker or the database can tell; 1s to 10m"`

	Tokens identity.TokenSettings

	Log   telemetry.LogConfig
	Trace tracing.Settings

	// Tick is the grain of all deadlines of connections; tests make it finer. Default 100 ms.
	Tick time.Duration
	// Lookup bounds one question to the database on a client's way in, and Grace is what a client has from its moment of
	// draining to its close; tests that know nothing of how busy the machine is take more. Default 3 s each.
	Lookup, Grace time.Duration
}

// Check reports every problem, and fills in what has no fixed default.
func (s *Settings) Check() error {
	var problems []error
	count := func(name string, n, low, high int64) {
		if n < low || n > high {
			problems = append(problems, fmt.Errorf("%s is %d: must be %d to %d", name, n, low, high))
		}
	}
	span := func(name string, d, low, high time.Duration) {
		if d < low || d > high {
			problems = append(problems, fmt.Errorf("%s is %s: must be %s to %s", name, d, low, high))
		}
	}
	count("CUPLINE_MAX_CONNECTIONS", int64(s.Connections), 1, 1_000_000)
	count("CUPLINE_MAX_TENANT_CONNECTIONS", int64(s.TenantConnections), 0, 1_000_000)
	count("CUPLINE_MAX_CLIENT_CONNECTIONS", int64(s.ClientConnections), 1, 1000)
	count("CUPLINE_WINDOW", int64(s.Window), 1, 1024)
	count("CUPLINE_WINDOW_BYTES", int64(s.WindowBytes), 1<<10, 16<<20)
	count("CUPLINE_PREFETCH", int64(s.Prefetch), 2, 65535)
	count("CUPLINE_MAILBOX_PREFETCH", int64(s.MailboxPrefetch), 1, 65535)
	count("CUPLINE_MAILBOX_OUTCOMES", s.MailboxOutcomes, 1, 100_000_000)
	count("CUPLINE_MAILBOX_BYTES", s.MailboxBytes, 1<<10, 1<<40)
	count("CUPLINE_DATABASE_CONNECTIONS", int64(s.DatabaseConnections), 2, 100)
	const short = 100 * time.Millisecond
	span("CUPLINE_UNACKED", s.Unacked, short, time.Minute)
	span("CUPLINE_CROWDED", s.Crowded, 10*time.Millisecond, time.Minute)
	span("CUPLINE_ACK_TIMEOUT", s.AckTimeout, 2*short, 10*time.Minute)
	span("CUPLINE_LAG_DWELL", s.LagDwell, time.Millisecond, time.Minute)
	span("CUPLINE_HELLO_TIMEOUT", s.Hello, short, time.Minute)
	span("CUPLINE_BIND_TIMEOUT", s.BindLimit, time.Second, 5*time.Minute)
	span("CUPLINE_PING", s.Ping, short, 10*time.Minute)
	span("CUPLINE_PONG_TIMEOUT", s.Pong, short, 10*time.Minute)
	span("CUPLINE_RECONNECT_WINDOW", s.Reconnect, 0, 10*time.Minute)
	span("CUPLINE_BROKER_PATIENCE", s.Patience, short, time.Hour)
	span("CUPLINE_SLOT_FREE", s.SlotFree, time.Second, 24*time.Hour)
	span("CUPLINE_FIGURES_EVERY", s.Figures, time.Second, 10*time.Minute)
	span("CUPLINE_DRAIN", s.Drain, 0, 30*time.Minute)
	if s.AckTimeout <= s.Unacked {
		problems = append(problems, errors.New("CUPLINE_ACK_TIMEOUT must be longer than CUPLINE_UNACKED"))
	}
	rate := func(name string, r float64) {
		if math.IsNaN(r) || r < 0 || r > 1_000_000 {
			problems = append(problems, fmt.Errorf("%s is %v: must be 0 to 1000000", name, r))
		}
	}
	rate("CUPLINE_FRAME_RATE", s.FrameRate)
	rate("CUPLINE_FAILED_LOGINS", s.FailedLogins)
	if _, err := s.proxies(); err != nil {
		problems = append(problems, err)
	}
	for _, origin := range s.Origin {
		if u, err := url.Parse(origin); origin != "*" && (err != nil || u.Scheme == "" || u.Host == "") {
			problems = append(problems, fmt.Errorf("CUPLINE_ORIGINS has %q: must be like https://app.example.com", origin))
		}
	}
	s.complete()
	problems = append(problems, topology.CheckID("CUPLINE_SLOT (default: the host's name)", s.Slot))
	return errors.Join(problems...)
}

// complete fills in what has no fixed default, or none that is a setting's.
func (s *Settings) complete() {
	if s.Slot == "" {
		s.Slot = slotOf(os.Hostname())
	}
	if s.Tick <= 0 {
		s.Tick = 100 * time.Millisecond
	}
	s.Lookup, s.Grace = cmp.Or(s.Lookup, lookupLimit), cmp.Or(s.Grace, drainGrace)
}

// proxies are the networks of Proxies.
func (s *Settings) proxies() (peer.Proxies, error) {
	return peer.ParseProxies("CUPLINE_TRUSTED_PROXIES", s.Proxies)
}

// slotOf makes a slot of the host's name: what stands before the domain.
func slotOf(host string, err error) string {
	if err != nil {
		return ""
	}
	name, _, _ := strings.Cut(host, ".")
	return name
}
