package http

import (
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// counted is a connection that knows how many bytes were written to it. That tells, when
// a request fails, whether the device may have any of it.
type counted struct {
	net.Conn
	written atomic.Int64
	attempt atomic.Pointer[attempt] // whose request it carries now; nil before the first
}

// errTooLate is why a request was not written: its time was up.
var errTooLate = errors.New("the method's timeout ended before anything was sent")

// Write counts before it writes, and takes back what was not written: whoever asks in
// between, because the call was given up, hears that something is on its way. It is also
// the last place where a request that is too late can be stopped: finding a connection
// takes time, and the process may have been stopped meanwhile.
func (c *counted) Write(b []byte) (int, error) {
	if a := c.attempt.Load(); a != nil && a.nothingSent() && a.left() <= 0 {
		return 0, errTooLate
	}
	c.written.Add(int64(len(b)))
	n, err := c.Conn.Write(b)
	c.written.Add(int64(n - len(b)))
	return n, err
}

// attempt follows one request on its connection.
type attempt struct {
	left   func() time.Duration
	conn   atomic.Pointer[counted]
	before atomic.Int64
	reused atomic.Bool
}

// trace returns a context whose request is followed.
func (a *attempt) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		conn := underneath(info.Conn)
		if conn == nil {
			return
		}
		a.before.Store(conn.written.Load())
		a.reused.Store(info.Reused)
		a.conn.Store(conn)
		conn.attempt.Store(a)
	}})
}

// underneath finds the counted connection, behind TLS as well.
func underneath(conn net.Conn) *counted {
	for {
		switch c := conn.(type) {
		case *counted:
			return c
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		default:
			return nil
		}
	}
}

// nothingSent reports that not one byte of the request was written. It is asked once the
// request has failed. TLS may send a few bytes of its own then (an alert); that errs on the
// safe side.
func (a *attempt) nothingSent() bool {
	conn := a.conn.Load()
	return conn == nil || conn.written.Load() == a.before.Load()
}
