package http

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/cupline/cupline/dispatcher/internal/dispatch"
	"github.com/cupline/cupline/schema/outcome"
)

// names is a DNS server of the test's own, which answers every question with the addresses that it has just now.
type names struct {
	conn net.PacketConn
	done chan struct{}

	mu        sync.Mutex // guards the rest
	addresses []netip.Addr
	asked     int
}

func newNames(t *testing.T) *names {
	t.Helper()
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &names{conn: conn, done: make(chan struct{})}
	go n.serve()
	t.Cleanup(func() {
		_ = conn.Close()
		<-n.done
	})
	return n
}

func (n *names) set(addresses ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addresses = nil
	for _, address := range addresses {
		n.addresses = append(n.addresses, netip.MustParseAddr(address))
	}
}

func (n *names) questions() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked
}

// resolver asks it and nobody else.
func (n *names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", n.conn.LocalAddr().String())
	}}
}

func (n *names) serve() {
	defer close(n.done)
	b := make([]byte, 1500)
	for {
		size, from, err := n.conn.ReadFrom(b)
		if err != nil {
			return
		}
		if answer := n.answer(b[:size]); answer != nil {
			_, _ = n.conn.WriteTo(answer, from) // who asked asks again
		}
	}
}

// answer is a response (RFC 1035, 4.1) with a time to live of 0: it is not to be believed twice.
func (n *names) answer(question []byte) []byte {
	const header = 12
	end := header
	for end < len(question) && question[end] != 0 { // the labels of one name
		end += int(question[end]) + 1
	}
	if end += 5; end > len(question) { // its end, type and class
		return nil
	}
	kind := binary.BigEndian.Uint16(question[end-4:])
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	var records []byte
	count := 0
	for _, address := range n.addresses {
		if want := map[uint16]bool{1: address.Is4(), 28: address.Is6()}; !want[kind] {
			continue
		}
		raw := address.AsSlice()
		records = append(records, 0xC0, header) // the question's name
		records = binary.BigEndian.AppendUint16(records, kind)
		records = append(records, 0, 1, 0, 0, 0, 0)
		records = append(binary.BigEndian.AppendUint16(records, uint16(len(raw))), raw...)
		count++
	}
	answer := append([]byte{question[0], question[1], 0x81, 0x80, 0, 1, 0, byte(count), 0, 0, 0, 0}, question[header:end]...)
	return append(answer, records...)
}

// TestANameThatChangesItsMeaningGainsNothing: at first it leads to a device, then to a service that only this machine may
// reach.
func TestANameThatChangesItsMeaningGainsNothing(t *testing.T) {
	t.Parallel()
	var reached recorded
	device := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }))
	// In this order: a port that is free at 127.0.0.2 may be somebody's at 127.0.0.1, where everything of a busy machine listens.
	inside, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(inside.Addr().String())
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Fatal(err)
	}
	_ = device.Listener.Close()
	device.Listener = listener
	device.Start()
	defer device.Close()
	service := &httptest.Server{Listener: inside, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached.add(r)
		_, _ = io.WriteString(w, answer)
	})}}
	service.Start()
	defer service.Close()

	networks, err := ParseNetworks("127.0.0.2")
	if err != nil {
		t.Fatal(err)
	}
	dns := newNames(t)
	d := resolving(networks, dns.resolver())
	defer d.Close()
	to := call(target("http://lamp.example:" + port + "/rpc"))
	dns.set("127.0.0.2")
	if _, err := d.Execute(t.Context(), to); err != nil {
		t.Fatalf("the device itself: %v", err)
	}
	d.Close() // the kept connection is to the device: it may go on, but proves nothing here
	for _, meaning := range []string{"127.0.0.1", "::ffff:127.0.0.1", "::1", "169.254.169.254", "fe80::1", "fd00:ec2::254", "0.0.0.0", "::"} {
		dns.set(meaning)
		_, err := d.Execute(t.Context(), to)
		var failure *dispatch.Failure
		if !errors.As(err, &failure) || failure.Reason != outcome.DeviceOffline || !strings.Contains(failure.Detail, "none of the allowed networks") {
			t.Errorf("%s: %v", meaning, err)
		}
	}
	if asked := dns.questions(); reached.count() != 0 || asked < 9 {
		t.Errorf("%d requests reached the service; %d questions", reached.count(), asked)
	}
	// Of several meanings only the allowed one is used.
	dns.set("127.0.0.1", "169.254.169.254", "127.0.0.2")
	if _, err := d.Execute(t.Context(), to); err != nil || reached.count() != 0 {
		t.Errorf("%v, %d requests reached the service", err, reached.count())
	}
}

// TestRedirectsAreNotFollowed, wherever they lead.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var reached recorded
	service := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reached.add(r) }))
	defer service.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		device := httptest.NewServer(http.RedirectHandler(service.URL+"/secret", status))
		_, err := loopback(t).Execute(t.Context(), call(target(device.URL)))
		if f := failureOf(t, err); f.Reason != outcome.BadAnswer {
			t.Errorf("%d: %v", status, err)
		}
		device.Close()
	}
	if reached.count() != 0 {
		t.Error("a redirect was followed")
	}
}
