package bare

import (
	"context"
	"fmt"
	"net"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const dialLimit = 10 * time.Second

// dial opens a connection that the broker shows by its name.
func dial(ctx context.Context, url, name string) (*amqp.Connection, error) {
	conn, err := amqp.DialConfig(url, amqp.Config{
		Heartbeat:  10 * time.Second,
		Properties: amqp.Table{"connection_name": name},
		Dial: func(network, addr string) (net.Conn, error) {
			c, err := (&net.Dialer{Timeout: dialLimit}).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			// The library's own dialler does the same: a broker that never greets must not hold the caller. It
			// takes the deadline away once the connection is open.
			return c, c.SetDeadline(time.Now().Add(dialLimit))
		},
	})
	if err != nil {
		return nil, fmt.Errorf("connect to the broker as %q: %w", name, err)
	}
	return conn, nil
}
