package wires_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cupline/cupline/local/services"
)

// impostor listens at 127.0.0.1 with a good certificate, of the trusted authority, that is for another host. It speaks
// TLS at once, or after Postgres' question for it.
type impostor struct {
	address string
	host    string // whose certificate it is
	// Handshakes that a client went through with, and others.
	fooled, refused atomic.Int64
}

func (s *site) impostor(t *testing.T, host string) *impostor {
	t.Helper()
	cert, key := s.file("impostor.pem"), s.file("impostor.key")
	s.authority.IssueFor(t, host, []net.IP{net.ParseIP(host)}, nil, cert, key)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	i := &impostor{address: listener.Addr().String(), host: host}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				i.answer(conn, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}})
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		all.Wait()
	})
	return i
}

// heard gives back what was looked at before.
type heard struct {
	net.Conn
	r io.Reader
}

func (h heard) Read(b []byte) (int, error) { return h.r.Read(b) }

func (i *impostor) answer(conn net.Conn, cfg *tls.Config) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReader(conn)
	const askTLS = "\x00\x00\x00\x08\x04\xd2\x16\x2f" // SSLRequest
	if first, _ := r.Peek(len(askTLS)); string(first) == askTLS {
		_, _ = r.Discard(len(askTLS))
		_, _ = io.WriteString(conn, "S")
	}
	server := tls.Server(heard{conn, r}, cfg)
	n := 0
	if server.Handshake() == nil {
		// Of TLS 1.3 the client's refusal comes after the handshake; whoever goes on says something.
		n, _ = server.Read(make([]byte, 1))
	}
	if n > 0 {
		i.fooled.Add(1)
	} else {
		i.refused.Add(1)
	}
}

// foreignHosts: no client speaks to a server whose certificate is another host's, be it of the trusted authority.
func (s *site) foreignHosts(t *testing.T) {
	t.Helper()
	broker, database := s.impostor(t, "192.0.2.1"), s.impostor(t, "192.0.2.2")
	management, mqtt := s.impostor(t, "192.0.2.3"), s.impostor(t, "192.0.2.4")
	with := func(name, value string) map[string]string {
		env := s.environment(t, services.API)
		env[name] = value
		return env
	}
	at, err := url.Parse(s.environment(t, services.API)["DATABASE_URL"])
	if err != nil {
		t.Fatal(err)
	}
	at.Host = database.address
	managed := with("RABBITMQ_MANAGEMENT_URL", "https://u:p@"+management.address)
	managed["CUPLINE_MANAGEMENT_CA_FILE"], managed["CUPLINE_FIGURES_EVERY"], managed["CUPLINE_LOG_LEVEL"] = s.file("ca.pem"), "1s", "debug"
	agent := map[string]string{
		"CUPLINE_MQTT_URL": "ssl://" + mqtt.address, "CUPLINE_MQTT_CA_FILE": s.file("ca.pem"), "CUPLINE_TENANT": "demo", "CUPLINE_DEVICE": "by-password",
		"CUPLINE_MQTT_PASSWORD": "x", "CUPLINE_AGENT_STATE": filepath.Join(s.Folder(), "agent-fooled"),
	}
	for _, c := range []struct {
		name, program string
		env           map[string]string
		at            *impostor
	}{
		{"api-amqps", services.API, with("AMQP_URL", "amqps://u:p@"+broker.address+"/"), broker},
		{"api-postgres", services.API, with("DATABASE_URL", at.String()), database},
		{"api-management", services.API, managed, management},
		{"agent-mqtts", services.Agent, agent, mqtt},
	} {
		service, err := s.Launch(c.name, c.program, c.env)
		if err != nil {
			t.Fatal(err)
		}
		said := fmt.Sprintf("certificate is valid for %s, not 127.0.0.1", c.at.host)
		for ctx := bounded(t); ; {
			log, err := os.ReadFile(service.Log)
			if err == nil && (strings.Contains(string(log), said) || c.at == management && c.at.refused.Load() > 0) { // api goes on without it, and says nothing
				break
			}
			select {
			case <-time.After(100 * time.Millisecond):
				continue
			case <-ctx.Done():
			}
			t.Errorf("%s does not say %q: %s", c.name, said, log)
			break
		}
		if n := c.at.fooled.Load(); n != 0 {
			t.Errorf("%s spoke to another host %d times", c.name, n)
		}
		if err := s.Kill(c.name); err != nil {
			t.Error(err)
		}
	}
}
