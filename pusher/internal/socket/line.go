package socket

import (
	"net"
	"sync/atomic"
	"syscall"
)

// line is an accepted connection that counts what was read from it, and can be waited for.
//
// Reading blocks some fifteen calls deep, for which a goroutine's stack has to grow to 4 KiB,
// and it never shrinks below that again. So an idle connection is waited for by a new
// goroutine, three calls deep, which stays at 2 KiB; it goes on to read once there is
// something to read. That must not wait while the library still has bytes in its buffer: we
// count what went in, and what has come out as frames.
type line struct {
	stream
	in atomic.Int64
}

// stream is a TCP connection, or one that came through a doorway.
type stream interface {
	net.Conn
	syscall.Conn
}

// Read counts.
func (l *line) Read(b []byte) (int, error) {
	n, err := l.stream.Read(b)
	l.in.Add(int64(n))
	return n, err
}

// lines is a listener of them.
type lines struct{ net.Listener }

// Accept returns the next connection.
func (l lines) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if tcp, ok := accepted.(stream); ok {
		return &line{stream: tcp}, nil
	}
	return accepted, nil
}

// frameSize is what a frame with that payload took on the wire, at least: a client's
// frames are masked (RFC 6455, 5.2), and may come in more pieces than needed.
func frameSize(payload int) int64 {
	const head, mask = 2, 4
	size := int64(head + mask + payload)
	switch {
	case payload > 0xffff:
		size += 8
	case payload > 125:
		size += 2
	}
	return size
}
