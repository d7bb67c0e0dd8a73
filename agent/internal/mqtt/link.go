// Package mqtt is the agent's supervised connection to an MQTT 3.1.1 broker.
package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/zap"
)

const (
	// atMostOnce is the quality of service of commands: at least once would have the broker
	// send a command again to a device that restarts before it acked it.
	atMostOnce = 0
	// atLeastOnce is that of answers; the platform drops a copy.
	atLeastOnce = 1

	// keepAlive bounds how long the broker takes a dead device for present: 1.5 times that.
	keepAlive    = 10 * time.Second
	connectLimit = 10 * time.Second
	// settled is how long a connection has to last before the wait after it starts small again.
	settled = 10 * time.Second
	minWait = 250 * time.Millisecond
	maxWait = 15 * time.Second
	// unsubscribeLimit bounds what an agent that stops waits for the broker: until then it is still there for commands.
	unsubscribeLimit = 5 * time.Second
)

// Config of a link.
type Config struct {
	// URL is tcp://host:port or ssl://host:port.
	URL                string
	Username, Password string
	ClientID           string
	// Filter is the topic filter to subscribe to.
	Filter string
	// TLS is asked at each attempt, for ssl://; nil trusts the system's authorities.
	TLS func() *tls.Config
	// Take gets each message on the connection's own goroutine, and must not block.
	Take func(topic string, payload []byte)
	Log  *zap.Logger
}

// Link is the connection. It is safe for concurrent use.
type Link struct {
	cfg Config

	mu      sync.Mutex
	client  paho.Client   // nil while there is no connection
	changed chan struct{} // closed at the next change of client
}

// New makes a link; Run connects.
func New(cfg Config) *Link { return &Link{cfg: cfg, changed: make(chan struct{})} }

// Run keeps the connection until ctx is done, and then takes no more commands: it
// unsubscribes, so that the broker says at once that the device is not there. The
// connection stays, for answers, until Close.
func (l *Link) Run(ctx context.Context) {
	for failures := 0; ; failures++ {
		began := time.Now()
		err := l.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) >= settled {
			failures = 0
		}
		wait := rand.N(min(minWait<<min(failures, 10), maxWait))
		l.cfg.Log.Warn("not connected to the broker", zap.Error(err), zap.Duration("next_attempt_in", wait))
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// session is one connection, up to its loss or ctx's end.
func (l *Link) session(ctx context.Context) error {
	lost := make(chan error, 1)
	client := paho.NewClient(l.options(lost))
	if err := wait(ctx, client.Connect(), connectLimit); err != nil {
		client.Disconnect(0)
		return fmt.Errorf("connect to %s: %w", l.cfg.URL, err)
	}
	if err := l.subscribe(ctx, client); err != nil {
		client.Disconnect(0)
		return fmt.Errorf("subscribe to %s: %w", l.cfg.Filter, err)
	}
	l.set(client)
	l.cfg.Log.Info("connected to the broker", zap.String("url", l.cfg.URL), zap.String("client_id", l.cfg.ClientID))
	select {
	case err := <-lost:
		l.set(nil)
		client.Disconnect(0)
		return fmt.Errorf("connection lost: %w", err)
	case <-ctx.Done():
		// Should this fail, the connection's end does the same a moment later.
		_ = wait(context.Background(), client.Unsubscribe(l.cfg.Filter), unsubscribeLimit)
		return nil
	}
}

func (l *Link) options(lost chan<- error) *paho.ClientOptions {
	var secure *tls.Config
	if l.cfg.TLS != nil {
		secure = l.cfg.TLS()
	}
	return paho.NewClientOptions().
		AddBroker(l.cfg.URL).SetClientID(l.cfg.ClientID).
		SetUsername(l.cfg.Username).SetPassword(l.cfg.Password).SetTLSConfig(secure).
		SetProtocolVersion(4). // MQTT 3.1.1
		SetCleanSession(true).
		SetAutoReconnect(false).SetConnectRetry(false).
		SetKeepAlive(keepAlive).SetPingTimeout(keepAlive / 2).
		SetConnectTimeout(connectLimit).SetWriteTimeout(connectLimit).
		SetConnectionLostHandler(func(_ paho.Client, err error) {
			select {
			case lost <- err:
			default:
			}
		})
}

func (l *Link) subscribe(ctx context.Context, client paho.Client) error {
	token := client.Subscribe(l.cfg.Filter, atMostOnce, func(_ paho.Client, m paho.Message) {
		l.cfg.Take(m.Topic(), m.Payload())
	})
	if err := wait(ctx, token, connectLimit); err != nil {
		return err
	}
	const refused = 0x80 // MQTT 3.1.1, 3.9.3
	if t, ok := token.(*paho.SubscribeToken); ok && t.Result()[l.cfg.Filter] == refused {
		return errors.New("the broker refuses it")
	}
	return nil
}

func wait(ctx context.Context, token paho.Token, limit time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", limit))
	defer cancel()
	select {
	case <-token.Done():
		return token.Error()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *Link) set(client paho.Client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.client = client
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *Link) current() (paho.Client, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.client, l.changed
}

// Connected reports whether commands come in.
func (l *Link) Connected() bool {
	client, _ := l.current()
	return client != nil
}

// Publish sends at least once, over the next connection where this one fails, until ctx is done.
func (l *Link) Publish(ctx context.Context, topic string, payload []byte) error {
	for {
		client, changed := l.current()
		if client != nil {
			err := wait(ctx, client.Publish(topic, atLeastOnce, false, payload), connectLimit)
			if err == nil || ctx.Err() != nil {
				return err
			}
			l.cfg.Log.Debug("an answer waits for the next connection", zap.String("topic", topic), zap.Error(err))
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("no connection to the broker: %w", context.Cause(ctx))
		}
	}
}

// Close disconnects; it may be called once Run has returned.
func (l *Link) Close() {
	client, _ := l.current()
	if client == nil {
		return
	}
	l.set(nil)
	const settle = 100 // ms, for what is still being written
	client.Disconnect(settle)
}
