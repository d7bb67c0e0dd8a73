package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/zap"
)

// Config of a link. URL is required; everything else has a default.
type Config struct {
	// URL is amqp:// or amqps://, with user, password and virtual host. Several, comma
	// separated, are tried in turn.
	URL string
	// Name is the connection's name as the broker's management shows it, and the label of
	// its metrics.
	Name string
	// Heartbeat is asked of the broker: a peer silent for one and a half of it is gone.
	// Whole seconds; default 10 s.
	Heartbeat time.Duration
	// DialTimeout bounds each attempt to connect, log-in included. Default 5 s.
	DialTimeout time.Duration
	// StepTimeout bounds each OnUp step; past it the connection is dropped. Default 2 min.
	StepTimeout time.Duration
	// TLS is asked at each attempt, for amqps://; nil trusts the system's authorities.
	TLS func() *tls.Config
	// Log gets one line for each change of the link. Default: none.
	Log *zap.Logger
	// Metrics may be nil.
	Metrics *Metrics
}

const (
	defaultHeartbeat   = 10 * time.Second
	defaultDialTimeout = 5 * time.Second
	defaultStepTimeout = 2 * time.Minute
)

func (c Config) withDefaults() Config {
	if c.Heartbeat <= 0 {
		c.Heartbeat = defaultHeartbeat
	}
	if c.DialTimeout <= 0 {
		c.DialTimeout = defaultDialTimeout
	}
	if c.StepTimeout <= 0 {
		c.StepTimeout = defaultStepTimeout
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	if c.Name != "" {
		c.Log = c.Log.With(zap.String("link", c.Name))
	}
	return c
}

// urls takes the list apart. The error never shows a URL: it may hold a password.
func (c Config) urls() ([]string, error) {
	var urls []string
	for part := range strings.SplitSeq(c.URL, ",") {
		if part = strings.TrimSpace(part); part != "" {
			urls = append(urls, part)
		}
	}
	if len(urls) == 0 {
		return nil, errors.New("broker: no URL given")
	}
	for i, url := range urls {
		if _, err := amqp.ParseURI(url); err != nil {
			return nil, fmt.Errorf("broker: URL %d of %d is not a valid amqp:// or amqps:// URL", i+1, len(urls))
		}
	}
	return urls, nil
}

// tls is for the next connection.
func (c Config) tls() *tls.Config {
	if c.TLS == nil {
		return &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return c.TLS()
}
