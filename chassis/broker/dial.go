package broker

import (
	"context"
	"fmt"
	"net"

	amqp "github.com/rabbitmq/amqp091-go"
)

// dial connects and logs in to one URL, bounded by ctx and the dial timeout. The socket is
// handed back as well, because closing it is the only way to end a call that hangs.
func dial(ctx context.Context, url string, cfg Config) (*amqp.Connection, net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.DialTimeout)
	defer cancel()
	var socket net.Conn
	detach := func() bool { return true }
	properties := amqp.NewConnectionProperties()
	if cfg.Name != "" {
		properties.SetClientConnectionName(cfg.Name)
	}
	conn, err := amqp.DialConfig(url, amqp.Config{
		Heartbeat:       cfg.Heartbeat,
		Locale:          "en_US",
		Properties:      properties,
		TLSClientConfig: cfg.tls(),
		Dial: func(network, addr string) (net.Conn, error) {
			var dialer net.Dialer
			opened, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			// The library cannot be told of a context: ending it closes the socket under
			// the handshake.
			detach = context.AfterFunc(ctx, func() { _ = opened.Close() })
			socket = newWire(opened)
			return socket, nil
		},
	})
	if !detach() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		if socket != nil {
			_ = socket.Close()
		}
		return nil, nil, err
	}
	return conn, socket, nil
}

// dialAny tries each URL once, beginning with number first, and says which one it was.
func dialAny(ctx context.Context, urls []string, first int, cfg Config) (*amqp.Connection, net.Conn, int, error) {
	var last error
	for i := range urls {
		n := (first + i) % len(urls)
		conn, socket, err := dial(ctx, urls[n], cfg)
		if err == nil {
			return conn, socket, n, nil
		}
		last = fmt.Errorf("connect to the broker (URL %d of %d): %w", n+1, len(urls), err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, nil, first, last
}
