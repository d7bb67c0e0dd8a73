// Package linktest is a TCP proxy between the code under test and a real server, whose
// links a test can cut, stall and heal. It is for tests only.
package linktest

import (
	"bytes"
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

const (
	// chunk is the most bytes forwarded at once.
	chunk = 32 << 10
	// dialLimit bounds the connection to the target.
	dialLimit = 10 * time.Second
)

// Proxy forwards TCP connections to one target. All its methods may be called from any
// goroutine.
type Proxy struct {
	t        testing.TB
	target   string
	listener net.Listener
	work     sync.WaitGroup

	mu      sync.Mutex // guards the rest
	links   map[*link]bool
	refuse  bool
	flow    chan struct{} // closed while bytes flow
	traps   []*trap
	watches []watch
	closed  bool
	dialled int
}

// trap waits for a request whose answer is to be lost.
type trap struct {
	request []byte
	sprung  chan struct{}
}

// watch waits for what a client sends.
type watch struct {
	sent []byte
	seen chan struct{}
}

// New starts a proxy to target (host:port); it ends with the test.
func New(t testing.TB, target string) *Proxy {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen for a proxy: %v", err)
	}
	p := &Proxy{t: t, target: target, listener: listener, links: make(map[*link]bool), flow: make(chan struct{})}
	close(p.flow)
	p.work.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Addr to connect to, host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Dialled is how many connections were accepted so far.
func (p *Proxy) Dialled() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dialled
}

// Cut closes every live connection at once; new ones are accepted.
func (p *Proxy) Cut() {
	p.mu.Lock()
	links := p.links
	p.links = make(map[*link]bool)
	p.mu.Unlock()
	for l := range links {
		l.close()
	}
}

// Refuse cuts, and closes every new connection at once, until Heal.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	p.refuse = true
	p.mu.Unlock()
	p.Cut()
}

// Stall keeps connections open, and new ones are accepted, but nothing is forwarded in
// either direction until Heal: what a half-open link looks like.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.flowing() {
		p.flow = make(chan struct{})
	}
}

// Heal ends Stall and Refuse. What was held back is forwarded.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = false
	if !p.flowing() {
		close(p.flow)
	}
}

// LoseAnswer waits until a client sends request within one write, forwards it, waits for
// the server's answer, drops the answer and cuts that connection: the server has done what
// was asked, and the client cannot know. The returned channel is closed then. It happens
// once.
func (p *Proxy) LoseAnswer(request []byte) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &trap{request: request, sprung: make(chan struct{})}
	p.traps = append(p.traps, t)
	return t.sprung
}

// Seen returns a channel that is closed once a client has sent these bytes within one write, also while a stall holds
// them back: whoever sent them cannot take them back any more.
func (p *Proxy) Seen(sent []byte) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := watch{sent: sent, seen: make(chan struct{})}
	p.watches = append(p.watches, w)
	return w.seen
}

// Inject sends bytes to every connected client as if they came from the server. The caller
// sees to it that the server is silent at that moment, or they land inside of its frames.
func (p *Proxy) Inject(bytes []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		_, _ = l.client.Write(bytes) // a client that is gone needs none
	}
}

// InjectUp sends bytes to the server as if every connected client had sent them; the same
// care applies.
func (p *Proxy) InjectUp(bytes []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		_, _ = l.server.Write(bytes) // a server that is gone needs none
	}
}

func (p *Proxy) flowing() bool {
	select {
	case <-p.flow:
		return true
	default:
		return false
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	p.mu.Lock()
	p.dialled++
	refuse := p.refuse || p.closed
	p.mu.Unlock()
	if refuse {
		_ = client.Close()
		return
	}
	dialer := net.Dialer{Timeout: dialLimit}
	// The test's own context ends before its cleanups, in which what uses the proxy is stopped, and may connect anew for that.
	server, err := dialer.DialContext(context.WithoutCancel(p.t.Context()), "tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	l := &link{proxy: p, client: client, server: server, gone: make(chan struct{})}
	p.mu.Lock()
	if p.refuse || p.closed {
		p.mu.Unlock()
		l.close()
		return
	}
	p.links[l] = true
	p.mu.Unlock()
	p.work.Go(l.down)
	l.up()
}

func (p *Proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.listener.Close()
	p.Heal()
	p.Cut()
	p.work.Wait()
}

// spring returns the trap that these bytes from a client step into, or nil.
func (p *Proxy) spring(sent []byte) *trap {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, t := range p.traps {
		if bytes.Contains(sent, t.request) {
			p.traps = append(p.traps[:i], p.traps[i+1:]...)
			return t
		}
	}
	return nil
}

// see tells those who wait for these bytes from a client.
func (p *Proxy) see(sent []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watches = slices.DeleteFunc(p.watches, func(w watch) bool {
		seen := bytes.Contains(sent, w.sent)
		if seen {
			close(w.seen)
		}
		return seen
	})
}

func (p *Proxy) forget(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}
