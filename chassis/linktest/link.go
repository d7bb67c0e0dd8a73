package linktest

import (
	"net"
	"sync"
)

// link is one forwarded connection.
type link struct {
	proxy          *Proxy
	client, server net.Conn
	once           sync.Once
	gone           chan struct{}

	mu   sync.Mutex // guards trap
	trap *trap      // the next answer is lost
}

func (l *link) close() {
	l.once.Do(func() {
		close(l.gone)
		_ = l.client.Close()
		_ = l.server.Close()
	})
}

// up forwards what the client sends.
func (l *link) up() {
	l.copy(l.server, l.client, l.proxy.see, func(sent []byte) bool {
		if t := l.proxy.spring(sent); t != nil {
			l.mu.Lock()
			l.trap = t
			l.mu.Unlock()
		}
		return true
	})
}

// down forwards what the server answers.
func (l *link) down() {
	l.copy(l.client, l.server, func([]byte) {}, func([]byte) bool {
		l.mu.Lock()
		t := l.trap
		l.mu.Unlock()
		if t == nil {
			return true
		}
		l.close()
		close(t.sprung)
		return false
	})
}

// copy forwards until either side ends, or look says no. It tells see of what came, and asks look when it may flow.
func (l *link) copy(to, from net.Conn, see func([]byte), look func([]byte) bool) {
	defer l.proxy.forget(l)
	defer l.close()
	buffer := make([]byte, chunk)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			see(buffer[:n])
			if !l.mayFlow() || !look(buffer[:n]) {
				return
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// mayFlow waits while the proxy is stalled; it reports false when the link is gone.
func (l *link) mayFlow() bool {
	l.proxy.mu.Lock()
	flow := l.proxy.flow
	l.proxy.mu.Unlock()
	select {
	case <-flow:
		return true
	case <-l.gone:
		return false
	}
}
