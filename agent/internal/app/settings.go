package app

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/topology"
)

// Settings of the agent. Each comes from its environment variable, or from the flag,
// which wins; the password from CUPLINE_MQTT_PASSWORD or CUPLINE_MQTT_PASSWORD_FILE alone.
type Settings struct {
	URL      string
	Username string
	Password string
	CAFile   string
	// CertFile and KeyFile are the device's own certificate for ssl://, in place of name and password; both empty for none.
	CertFile, KeyFile string
	Tenant            string
	Device            string
	// State is the folder that keeps the relay's executions.
	State string
	// Concurrency is how many commands run at a time. 1 to 10,000.
	Concurrency int
	// InternalAddr is where /healthz and /readyz are served; empty for nowhere.
	InternalAddr string
	// TestMethods adds test.*, with which a device misbehaves on purpose.
	TestMethods bool
	LogLevel    string
	// Grace is how long commands that run may take to end when the agent stops.
	Grace time.Duration
}

// ErrHelp says that help was asked for and printed.
var ErrHelp = flag.ErrHelp

// Load reads the flags and the environment, and reports every problem at once.
func Load(args []string, getenv func(string) string, help io.Writer) (Settings, error) {
	var s Settings
	flags := flag.NewFlagSet("cupline-agent", flag.ContinueOnError)
	flags.SetOutput(help)
	text := func(into *string, name, variable, fallback, doc string) {
		if value := getenv(variable); value != "" {
			fallback = value
		}
		flags.StringVar(into, name, fallback, doc+" ("+variable+")")
	}
	text(&s.URL, "mqtt-url", "CUPLINE_MQTT_URL", "tcp://127.0.0.1:1883", "the broker's `address`, tcp:// or ssl://")
	text(&s.Username, "username", "CUPLINE_MQTT_USERNAME", "", "log-in `name`; TENANT/DEVICE unless told")
	text(&s.CAFile, "ca-file", "CUPLINE_MQTT_CA_FILE", "", "`file` with the authorities to trust for ssl://; the system's unless told")
	text(&s.CertFile, "cert-file", "CUPLINE_MQTT_CERT_FILE", "", "`file` with the device's own certificate for ssl://, in place of name and password")
	text(&s.KeyFile, "key-file", "CUPLINE_MQTT_KEY_FILE", "", "`file` with its private key")
	text(&s.Tenant, "tenant", "CUPLINE_TENANT", "", "the device's tenant")
	text(&s.Device, "device", "CUPLINE_DEVICE", "", "the device's id")
	text(&s.State, "state", "CUPLINE_AGENT_STATE", "cupline-agent", "`folder` that keeps the relay's executions")
	text(&s.InternalAddr, "internal-addr", "CUPLINE_INTERNAL_ADDR", "", "host:port for /healthz and /readyz; none unless told")
	text(&s.LogLevel, "log-level", "CUPLINE_LOG_LEVEL", "info", "debug, info, warn or error")
	var problems []error
	number(flags, &problems, getenv, &s.Concurrency, "concurrency", "CUPLINE_AGENT_CONCURRENCY", 64, "commands run at a time")
	flags.DurationVar(&s.Grace, "grace", 10*time.Second, "how long running commands may take to end at a stop")
	flags.BoolVar(&s.TestMethods, "test-methods", getenv("CUPLINE_AGENT_TEST_METHODS") == "true",
		"add test.*, with which a device misbehaves on purpose (CUPLINE_AGENT_TEST_METHODS)")
	if err := flags.Parse(args); err != nil {
		return Settings{}, err
	}
	if flags.NArg() > 0 {
		problems = append(problems, fmt.Errorf("arguments %q: there should be none", flags.Args()))
	}
	problems = append(problems, s.readPassword(getenv), s.check())
	return s, errors.Join(problems...)
}

func number(flags *flag.FlagSet, problems *[]error, getenv func(string) string, into *int, name, variable string, fallback int, doc string) {
	if value := getenv(variable); value != "" {
		n, err := strconv.Atoi(value)
		if err != nil {
			*problems = append(*problems, fmt.Errorf("%s %q: must be a number", variable, value))
		}
		fallback = n
	}
	flags.IntVar(into, name, fallback, doc+" ("+variable+")")
}

func (s *Settings) readPassword(getenv func(string) string) error {
	s.Password = getenv("CUPLINE_MQTT_PASSWORD")
	path := getenv("CUPLINE_MQTT_PASSWORD_FILE")
	switch {
	case path != "" && s.Password != "":
		return errors.New("CUPLINE_MQTT_PASSWORD and CUPLINE_MQTT_PASSWORD_FILE: set one of them")
	case path != "":
		content, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("CUPLINE_MQTT_PASSWORD_FILE: %w", err)
		}
		s.Password = strings.TrimRight(string(content), "\r\n")
	}
	return nil
}

func (s *Settings) check() error {
	problems := []error{topology.CheckID("tenant", s.Tenant), topology.CheckID("device", s.Device)}
	if s.CertFile != "" && s.Password != "" {
		problems = append(problems, errors.New("cert-file and a password: a device logs in with one of them"))
	}
	if s.Username == "" && s.CertFile == "" { // with a certificate the broker takes the name from there
		s.Username = device.Login(s.Tenant, s.Device)
	}
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || (u.Scheme != "tcp" && u.Scheme != "ssl") {
		problems = append(problems, fmt.Errorf("mqtt-url %q: must be tcp://host:port or ssl://host:port", s.URL))
	}
	if s.Concurrency < 1 || s.Concurrency > 10_000 {
		problems = append(problems, errors.New("concurrency: must be 1 to 10,000"))
	}
	if s.Grace < 0 {
		problems = append(problems, errors.New("grace: must not be negative"))
	}
	return errors.Join(problems...)
}
