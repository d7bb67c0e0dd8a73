package http

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cupline/cupline/dispatcher/internal/dispatch"
	"github.com/cupline/cupline/schema/outcome"
)

func failureOf(t *testing.T, err error) *dispatch.Failure {
	t.Helper()
	var failure *dispatch.Failure
	if !errors.As(err, &failure) {
		t.Fatalf("%v is no failure", err)
	}
	return failure
}

func TestOneConnectionServesManyCalls(t *testing.T) {
	t.Parallel()
	var seen recorded
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.add(r)
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	d := loopback(t)
	for range 5 {
		if _, err := d.Execute(t.Context(), call(target(server.URL))); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range seen.seen {
		if r.RemoteAddr != seen.seen[0].RemoteAddr {
			t.Errorf("a call came from %s, the first one from %s", r.RemoteAddr, seen.seen[0].RemoteAddr)
		}
		if r.Header.Get("Idempotency-Key") != "" || r.Method != http.MethodPost || r.ContentLength < 1 {
			t.Errorf("%s, %v", r.Method, r.Header)
		}
	}
}

// looking is a transport that looks at a request before it goes.
type looking struct {
	http.RoundTripper
	look func(*http.Request)
}

func (l looking) RoundTrip(r *http.Request) (*http.Response, error) {
	l.look(r)
	return l.RoundTripper.RoundTrip(r)
}

// TestRequestIsNotReplayable holds it to what net/http looks at (Request.isReplayable, and
// its rewinding of bodies).
func TestRequestIsNotReplayable(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }))
	defer server.Close()
	d := loopback(t)
	looked := false
	d.client.Transport = looking{d.client.Transport, func(r *http.Request) {
		looked = true
		if r.GetBody != nil || r.Body == nil || r.Header["Idempotency-Key"] != nil || r.Header["X-Idempotency-Key"] != nil {
			t.Errorf("net/http may send it again: %+v", r)
		}
	}}
	if _, err := d.Execute(t.Context(), call(target(server.URL))); err != nil || !looked {
		t.Errorf("%v", err)
	}
}

// TestNothingIsSentTwice kills each kept connection as soon as a request has arrived on
// it. net/http would send a replayable request again; this one must end as no_answer.
func TestNothingIsSentTwice(t *testing.T) {
	t.Parallel()
	var seen recorded
	var killing atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.add(r)
		if killing.Load() {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	d := loopback(t)
	if _, err := d.Execute(t.Context(), call(target(server.URL))); err != nil {
		t.Fatal(err)
	}
	killing.Store(true)
	_, err := d.Execute(t.Context(), call(target(server.URL)))
	if f := failureOf(t, err); f.Reason != outcome.NoAnswer {
		t.Errorf("%v, want no_answer: the device had the request", err)
	}
	if seen.count() != 2 {
		t.Errorf("the device saw %d requests, want the first and the killed one, once", seen.count())
	}
}

// TestPauseWhileConnecting has the time run out after the driver has begun, and before
// anything is written: on a new connection, and on a kept one.
func TestPauseWhileConnecting(t *testing.T) {
	t.Parallel()
	var seen recorded
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.add(r)
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	d := loopback(t)
	for range 2 {
		c := call(target(server.URL))
		var asked atomic.Int32
		c.Left = func() time.Duration {
			if asked.Add(1) == 1 {
				return time.Minute
			}
			return 0
		}
		before := seen.count()
		_, err := d.Execute(t.Context(), c)
		if f := failureOf(t, err); f.Reason != outcome.NoAnswer || asked.Load() < 2 {
			t.Errorf("%v, after it was asked %d times", err, asked.Load())
		}
		if _, err := d.Execute(t.Context(), call(target(server.URL))); err != nil {
			t.Fatal(err)
		}
		if n := seen.count() - before; n != 1 {
			t.Errorf("the device saw %d requests, want only the one in time", n)
		}
	}
}

// TestKeptConnectionThatTheDeviceClosed lets the device close the connection between two
// calls: nothing of the second request is lost on it, so it goes out on a new one.
func TestKeptConnectionThatTheDeviceClosed(t *testing.T) {
	t.Parallel()
	var seen recorded
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.add(r)
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	d := loopback(t)
	for n := 1; n <= 20; n++ {
		if _, err := d.Execute(t.Context(), call(target(server.URL))); err != nil {
			// The request may have been written before the end of the connection was seen.
			if f := failureOf(t, err); f.Reason != outcome.NoAnswer {
				t.Fatalf("call %d: %v", n, err)
			}
		}
		if seen.count() > n {
			t.Fatalf("after %d calls the device saw %d requests", n, seen.count())
		}
		server.CloseClientConnections()
	}
}

// TestUnusedConnectionIsLeftFirst holds the driver to closing before a device does that closes after 5 s.
func TestUnusedConnectionIsLeftFirst(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }))
	server.Config.IdleTimeout = time.Hour
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			close(closed)
		}
	}
	server.Start()
	defer server.Close()
	if _, err := loopback(t).Execute(t.Context(), call(target(server.URL))); err != nil {
		t.Fatal(err)
	}
	if idleTimeout >= 5*time.Second {
		t.Errorf("an unused connection is kept for %s", idleTimeout)
	}
	select {
	case <-closed:
	case <-time.After(time.Minute):
		t.Error("the unused connection is still there")
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		handle func(http.ResponseWriter, *http.Request)
		want   outcome.Reason
	}{
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, outcome.BadAnswer},
		"500": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, answer, 500) }, outcome.BadAnswer},
		"204": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, outcome.BadAnswer},
		"202": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(202)
			_, _ = io.WriteString(w, answer)
		}, outcome.BadAnswer},
		"breaks off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, answer)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, outcome.BadAnswer},
		"never ends": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat(" ", 1<<10)); err != nil {
					return
				}
			}
		}, outcome.BadAnswer},
		"endless header": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Filler", strings.Repeat("x", 1<<20))
		}, outcome.NoAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seen recorded
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				seen.add(r)
				test.handle(w, r)
			}))
			defer server.Close()
			_, err := loopback(t).Execute(t.Context(), call(target(server.URL)))
			if f := failureOf(t, err); f.Reason != test.want {
				t.Errorf("%v, want %s", err, test.want)
			}
			if seen.count() != 1 {
				t.Errorf("the device saw %d requests", seen.count())
			}
		})
	}
}

// TestPartialAnswerAtTheTimeout has the device begin its answer and stop.
func TestPartialAnswerAtTheTimeout(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, answer[:10])
		w.(http.Flusher).Flush()
		time.AfterFunc(300*time.Millisecond, cancel) // from here on: time that is over before it is sent is another thing
		<-r.Context().Done()
	}))
	defer server.Close()
	_, err := loopback(t).Execute(ctx, call(target(server.URL)))
	if f := failureOf(t, err); f.Reason != outcome.NoAnswer {
		t.Errorf("%v, want no_answer", err)
	}
}

// TestNotHTTP has something else than a web server at the address.
func TestNotHTTP(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		if _, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
			_, _ = io.WriteString(conn, "220 mail.example ESMTP\r\n")
		}
	}()
	_, err = loopback(t).Execute(t.Context(), call(target("http://"+listener.Addr().String())))
	if f := failureOf(t, err); f.Reason != outcome.NoAnswer {
		t.Errorf("%v, want no_answer: it had the request", err)
	}
	_ = listener.Close()
	<-served
}

func TestNetworksAreCheckedOnTheDialledAddress(t *testing.T) {
	t.Parallel()
	var seen recorded
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen.add(r) }))
	defer server.Close()
	networks, err := ParseNetworks(DefaultNetworks)
	if err != nil {
		t.Fatal(err)
	}
	d := New(networks)
	defer d.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254", "8.8.8.8"} {
		_, err := d.Execute(t.Context(), call(target("http://"+net.JoinHostPort(strings.Trim(host, "[]"), port))))
		f := failureOf(t, err)
		if f.Reason != outcome.DeviceOffline || !strings.Contains(f.Detail, "none of the allowed networks") {
			t.Errorf("%s: %v", host, err)
		}
	}
	if seen.count() != 0 {
		t.Errorf("%d requests went out", seen.count())
	}
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	networks, err := ParseNetworks(" 10.0.0.0/8, 192.0.2.7 ,fc00::/7,")
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]bool{
		"10.255.0.1": true, "11.0.0.1": false, "192.0.2.7": true, "192.0.2.8": false,
		"::ffff:10.0.0.1": true, "fd00::1": true, "fe80::1%eth0": false, "::1": false,
	} {
		if got := networks.Allows(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %t", address, got)
		}
	}
	for _, bad := range []string{"10.0.0.0/33", "example.com", "10.0.0"} {
		if _, err := ParseNetworks(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
	if none, err := ParseNetworks(""); err != nil || none.Allows(netip.MustParseAddr("10.0.0.1")) {
		t.Errorf("the empty list: %v, %v", none, err)
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	d := loopback(t)
	for address, want := range map[string]bool{
		`{"url":"http://10.0.0.1/rpc"}`: true, `{"url":"https://lamp.example:8443"}`: true,
		``: false, `{}`: false, `[]`: false, `{"url":""}`: false, `{"url":"ftp://x"}`: false, `{"url":"http://"}`: false,
		`{"url":"http://user:secret@x/"}`: false, `{"url":7}`: false, `{"url":"://"}`: false,
	} {
		if err := d.Check(dispatch.Target{Address: []byte(address)}); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
}
