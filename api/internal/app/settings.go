package app

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/cupline/cupline/chassis/certs"
	"github.com/cupline/cupline/chassis/settings"
	"github.com/cupline/cupline/chassis/telemetry"
	"github.com/cupline/cupline/chassis/tracing"
	"github.com/cupline/cupline/store/identity"
)

// Settings of an api process, as the environment gives them.
type Settings struct {
	AMQPURL     settings.Secret `env:"AMQP_URL" required:"true" doc:"the broker, amqp:// or amqps://; several, comma separated, are tried in turn"`
	DatabaseURL settings.Secret `env:"DATABASE_URL" required:"true" doc:"Postgres, postgres://"`

	ManagementURL settings.Secret `env:"RABBITMQ_MANAGEMENT_URL" doc:"the broker's management API, http://user:password@host:port; without it GET /v1/queues knows depth and consumers only"`

	Listen       string   `env:"CUPLINE_LISTEN" default:"127.0.0.1:8080" doc:"host:port of the API"`
	InternalAddr string   `env:"CUPLINE_INTERNAL_ADDR" default:"127.0.0.1:9101" doc:"host:port of /healthz, /readyz, /metrics, /loglevel, and of /broker/, where RabbitMQ asks about devices; it asks for no credentials"`
	Profiles     bool     `env:"CUPLINE_PROFILES" default:"false" doc:"Go's profiles at /debug/pprof/ of the internal port, for who may reach it"`
	Origins      []string `env:"CUPLINE_CORS_ORIGINS" doc:"origins of web pages that may call the API, such as https://shop.example, comma separated; none when empty"`

	PushURL string `env:"CUPLINE_CONSOLE_PUSH_URL" doc:"the pusher's address as the operators' browsers reach it, such as wss://push.example, for the console; the API's own address when empty"`

	PublishTimeout time.Duration `env:"CUPLINE_PUBLISH_TIMEOUT" default:"5s" doc:"how long the broker's confirm of a command is awaited, before 504 (in doubt); 100ms to 20s"`
	PublishWindow  int           `env:"CUPLINE_PUBLISH_WINDOW" default:"1024" doc:"commands sent to the broker and not yet confirmed; past it requests wait; 1 to 65536"`
	LongPolls      int           `env:"CUPLINE_LONG_POLLS" default:"10000" doc:"long polls of mailboxes held at once; past it they get 503; 1 to 1000000"`

	LoopGuard int `env:"CUPLINE_LOOP_GUARD" default:"3" doc:"a dead letter is held, and redriven only with include_held, once this many redrives have died; 1 to 1000"`

	DatabaseConnections int32 `env:"CUPLINE_DATABASE_CONNECTIONS" default:"16" doc:"connections to Postgres besides the one that listens; 2 to 100"`

	DeviceCertificates bool `env:"CUPLINE_DEVICE_CERTIFICATES" default:"false" doc:"lets devices log in without a password whose client certificate the broker has verified; only with mqtt.ssl_cert_login = true at the broker"`

	AccessLog bool          `env:"CUPLINE_ACCESS_LOG" default:"false" doc:"a log line for each request"`
	Drain     time.Duration `env:"CUPLINE_DRAIN" default:"20s" doc:"how long requests under way may go on at SIGTERM; 0s to 5m"`

	Limits Limits

	TLS    certs.ServerFiles
	Broker certs.BrokerFiles

	Figures time.Duration `env:"CUPLINE_FIGURES_EVERY" default:"15s" doc:"pause between two looks at figures that only the broker or the database can tell; 1s to 10m"`

	Tokens identity.TokenSettings

	Log   telemetry.LogConfig
	Trace tracing.Settings

	// Look is lookLimit, for tests that know nothing of how busy the machine is. Default lookLimit.
	Look time.Duration
}

// Check reports every problem that no single value shows.
func (s *Settings) Check() error {
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if s.PublishTimeout < 100*time.Millisecond || s.PublishTimeout > 20*time.Second {
		wrong("CUPLINE_PUBLISH_TIMEOUT is %s: must be 100ms to 20s", s.PublishTimeout)
	}
	if s.PublishWindow < 1 || s.PublishWindow > 65_536 {
		wrong("CUPLINE_PUBLISH_WINDOW is %d: must be 1 to 65536", s.PublishWindow)
	}
	if s.LongPolls < 1 || s.LongPolls > 1_000_000 {
		wrong("CUPLINE_LONG_POLLS is %d: must be 1 to 1000000", s.LongPolls)
	}
	if s.LoopGuard < 1 || s.LoopGuard > 1000 {
		wrong("CUPLINE_LOOP_GUARD is %d: must be 1 to 1000", s.LoopGuard)
	}
	if s.DatabaseConnections < 2 || s.DatabaseConnections > 100 {
		wrong("CUPLINE_DATABASE_CONNECTIONS is %d: must be 2 to 100", s.DatabaseConnections)
	}
	if s.Figures < time.Second || s.Figures > 10*time.Minute {
		wrong("CUPLINE_FIGURES_EVERY is %s: must be 1s to 10m", s.Figures)
	}
	if s.Drain < 0 || s.Drain > 5*time.Minute {
		wrong("CUPLINE_DRAIN is %s: must be 0s to 5m", s.Drain)
	}
	if s.PushURL != "" {
		u, err := url.Parse(s.PushURL)
		if err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" || u.Scheme+"://"+u.Host != s.PushURL {
			wrong("CUPLINE_CONSOLE_PUSH_URL is %q: must be ws:// or wss:// with a host, and no path", s.PushURL)
		}
	}
	for _, origin := range s.Origins {
		u, err := url.Parse(origin)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Scheme+"://"+u.Host != origin || strings.ContainsAny(origin, "*?") {
			wrong("CUPLINE_CORS_ORIGINS has %q: must be an exact origin such as https://shop.example", origin)
		}
	}
	return errors.Join(problems...)
}
