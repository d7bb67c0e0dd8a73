// Package link is a TCP proxy between a process and what it depends on, whose links a run of
// the fault suite breaks and heals: cut, refused, half-open, slow, one byte a second.
package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"
)

// Mode is how a link behaves. New connections behave as the live ones do.
type Mode string

// The modes of a link.
const (
	// Whole forwards everything at once.
	Whole Mode = "whole"
	// Refused closes live connections and every new one.
	Refused Mode = "refused"
	// HalfOpen keeps connections open and forwards nothing.
	HalfOpen Mode = "half-open"
	// Mute forwards what comes from the side that connected, and swallows the answers.
	Mute Mode = "mute"
	// Slow forwards after a delay of 300 ms each way.
	Slow Mode = "slow"
	// Trickle forwards one byte a second.
	Trickle Mode = "trickle"
)

const (
	dialLimit = 5 * time.Second
	delay     = 300 * time.Millisecond
	tick      = time.Second
	chunk     = 32 << 10
)

// Link forwards connections to one target.
type Link struct {
	target   string
	listener net.Listener
	ctx      context.Context //nolint:containedctx // the proxy's own life, which its connections share
	cancel   context.CancelFunc
	work     sync.WaitGroup

	mu      sync.Mutex // guards the rest
	mode    Mode
	changed chan struct{} // closed at the next change of mode
	conns   map[net.Conn]bool
	holes   int // ways on which an answer was swallowed
}

// Open starts a link to host:port on a loopback port. Close it.
func Open(ctx context.Context, target string) (*Link, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open a link to %s: %w", target, err)
	}
	l := &Link{target: target, listener: listener, mode: Whole, changed: make(chan struct{}), conns: map[net.Conn]bool{}}
	l.ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	l.work.Go(l.accept)
	return l, nil
}

// Address to connect to, host:port.
func (l *Link) Address() string { return l.listener.Addr().String() }

// URL is address with the link in place of its host and port.
func (l *Link) URL(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", errors.New("put a link into a URL: it cannot be read") // it may hold a password
	}
	u.Host = l.Address()
	return u.String(), nil
}

// Set changes how the link behaves.
func (l *Link) Set(mode Mode) {
	l.mu.Lock()
	l.mode = mode
	close(l.changed)
	l.changed = make(chan struct{})
	l.mu.Unlock()
	if mode == Refused {
		l.Cut()
	}
}

// Cut closes every live connection; new ones are welcome.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for conn := range l.conns {
		_ = conn.Close() // it may be gone already
	}
}

// Close ends the link and all its connections.
func (l *Link) Close() error {
	err := l.listener.Close()
	l.cancel()
	l.Cut()
	l.work.Wait()
	return err
}

func (l *Link) state() (Mode, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mode, l.changed
}

func (l *Link) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.work.Go(func() { l.serve(client) })
	}
}

func (l *Link) serve(client net.Conn) {
	defer client.Close()
	if mode, _ := l.state(); mode == Refused {
		return
	}
	dialer := net.Dialer{Timeout: dialLimit}
	server, err := dialer.DialContext(l.ctx, "tcp", l.target)
	if err != nil {
		return
	}
	defer server.Close()
	l.mu.Lock()
	if l.mode == Refused || l.ctx.Err() != nil {
		l.mu.Unlock()
		return
	}
	l.conns[client], l.conns[server] = true, true
	l.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		both.Go(func() {
			l.forward(way[0], way[1], way[0] == server)
			_ = client.Close() // one end gone ends both
			_ = server.Close()
		})
	}
	both.Wait()
	l.mu.Lock()
	delete(l.conns, client)
	delete(l.conns, server)
	l.mu.Unlock()
}

func (l *Link) forward(from, to net.Conn, answers bool) {
	buffer := make([]byte, chunk)
	swallowed := false
	for {
		n, err := from.Read(buffer)
		for sent := 0; sent < n; {
			if mode, _ := l.state(); mode == Mute && answers {
				if !swallowed {
					swallowed = true
					l.hole()
				}
				break
			}
			if swallowed {
				return // there is a hole in what was said
			}
			part, ok := l.admit(n - sent)
			if !ok {
				return
			}
			if _, err := to.Write(buffer[sent : sent+part]); err != nil {
				return
			}
			sent += part
		}
		if err != nil {
			return
		}
	}
}

// hole notes that a way has one from now on.
func (l *Link) hole() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holes++
}

// admit waits until bytes may pass, and says how many of n; false when the link has ended.
func (l *Link) admit(n int) (int, bool) {
	for {
		mode, changed := l.state()
		var wait <-chan time.Time
		switch mode {
		case Whole, Mute:
			return n, true
		case Slow:
			wait = time.After(delay)
		case Trickle:
			wait = time.After(tick)
		case Refused:
			return 0, false
		case HalfOpen:
		}
		select {
		case <-wait:
			if mode == Trickle {
				return 1, true
			}
			return n, true
		case <-changed:
		case <-l.ctx.Done():
			return 0, false
		}
	}
}
