// Package doorway bounds how many connections a listener has open at once, so that whoever opens them without end takes
// neither all memory nor all file descriptors. Some more than may come in are taken only to be told so; past those,
// connections are closed as they come.
package doorway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Spare is how many connections past the bound are taken to be told so.
const Spare = 256

// Doorway counts who is inside. It is safe for concurrent use.
type Doorway struct {
	most   int64
	inside atomic.Int64
	turned prometheus.Counter
}

// New makes a doorway for that many connections, and registers its metrics.
func New(most int, registerer prometheus.Registerer) (*Doorway, error) {
	d := &Doorway{most: int64(most), turned: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "cupline_public_connections_refused_total",
		Help: "Connections to the public port past its bound: those that were told so, and those that were closed as they came.",
	})}
	limit := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "cupline_public_connections_limit", Help: "Most connections to the public port that are open at once.",
	})
	limit.Set(float64(most))
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "cupline_public_connections", Help: "Connections to the public port that are open, those that are being refused included.",
	}, func() float64 { return float64(d.inside.Load()) })
	if err := errors.Join(registerer.Register(d.turned), registerer.Register(limit), registerer.Register(open)); err != nil {
		return nil, fmt.Errorf("register the connections' metrics: %w", err)
	}
	return d, nil
}

// Listen leads a TCP listener through the doorway: what it accepts is a *Conn.
func (d *Doorway) Listen(l net.Listener) net.Listener { return listener{l, d} }

type listener struct {
	net.Listener
	door *Doorway
}

// Accept returns the next connection for which there is room.
func (l listener) Accept() (net.Conn, error) {
	for {
		accepted, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		tcp, ok := accepted.(*net.TCPConn)
		if !ok {
			_ = accepted.Close()
			return nil, fmt.Errorf("accept: %T is not TCP", accepted)
		}
		n := l.door.inside.Add(1)
		if n > l.door.most {
			l.door.turned.Inc()
		}
		if n <= l.door.most+Spare {
			return &Conn{TCPConn: tcp, door: l.door, past: n > l.door.most}, nil
		}
		l.door.inside.Add(-1)
		_ = tcp.Close()
	}
}

// Conn is a connection that makes room when it is closed.
type Conn struct {
	*net.TCPConn
	door   *Doorway
	past   bool
	closed sync.Once
}

// Close closes it. Whoever it has returned to finds the room made, also when another closes it at that moment.
func (c *Conn) Close() error {
	c.closed.Do(func() { c.door.inside.Add(-1) })
	return c.TCPConn.Close()
}

// PastBound tells whether the connection is one too many.
func (c *Conn) PastBound() bool { return c.past }

type pastBound struct{}

// Context is http.Server's ConnContext: it keeps for PastBound whether the connection, or the one below its TLS, is one
// too many.
func Context(ctx context.Context, c net.Conn) context.Context {
	if over, is := c.(interface{ NetConn() net.Conn }); is {
		c = over.NetConn()
	}
	if one, is := c.(interface{ PastBound() bool }); is && one.PastBound() {
		return context.WithValue(ctx, pastBound{}, true)
	}
	return ctx
}

// PastBound tells whether a request came over a connection that is one too many.
func PastBound(ctx context.Context) bool { return ctx.Value(pastBound{}) != nil }
