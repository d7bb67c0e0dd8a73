package certs_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/cupline/cupline/chassis/certs"
	"github.com/cupline/cupline/chassis/certtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve answers handshakes, one after the other, until the test ends.
func serve(t *testing.T, cfg *tls.Config) (address string) {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "hello")
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return listener.Addr().String()
}

// shake returns the common name that the server shows.
func shake(t *testing.T, address string, cfg *tls.Config) (string, error) {
	t.Helper()
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: cfg}
	conn, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	_, err = io.ReadAll(conn)
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName, err
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	over := time.After(time.Minute)
	for !ok() {
		select {
		case <-time.After(50 * time.Millisecond):
		case <-over:
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

func TestNewHandshakesGetTheNewCertificate(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	files := certs.ServerFiles{Cert: filepath.Join(folder, "c.pem"), Key: filepath.Join(folder, "k.pem")}
	first, second := certtest.NewAuthority(t, "first"), certtest.NewAuthority(t, "second")
	first.Issue(t, "one", files.Cert, files.Key)
	var ends atomic.Int64
	server, err := certs.Server(files, zaptest.NewLogger(t), func(_ string, at time.Time) { ends.Store(at.Unix()) })
	if err != nil {
		t.Fatal(err)
	}
	trusted := filepath.Join(folder, "ca.pem")
	trust := func(a *certtest.Authority) {
		content, err := os.ReadFile(a.File)
		if err == nil {
			err = os.WriteFile(trusted, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	trust(first)
	client, err := certs.Client(certs.ClientFiles{CA: trusted}, zaptest.NewLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	at := serve(t, server)
	if name, err := shake(t, at, client.Config()); name != "one" || err != nil {
		t.Fatalf("%q, %v", name, err)
	}
	if left := time.Until(time.Unix(ends.Load(), 0)); left < 23*time.Hour || left > 25*time.Hour {
		t.Errorf("it ends in %s", left)
	}
	if err := os.WriteFile(files.Cert, []byte("half of a certif"), 0o600); err != nil {
		t.Fatal(err)
	}
	// What cannot be used is not used; the look at it is at most a second away.
	over := time.Now().Add(1500 * time.Millisecond)
	eventually(t, "several handshakes beside a broken file", func() bool {
		if name, err := shake(t, at, client.Config()); name != "one" || err != nil {
			t.Fatalf("with a broken file: %q, %v", name, err)
		}
		return time.Now().After(over)
	})
	first.Issue(t, "two", files.Cert, files.Key)
	eventually(t, "the renewed certificate", func() bool { name, err := shake(t, at, client.Config()); return name == "two" && err == nil })
	second.Issue(t, "three", files.Cert, files.Key)
	eventually(t, "an authority that is not trusted", func() bool { _, err := shake(t, at, client.Config()); return err != nil })
	trust(second)
	eventually(t, "the new authority", func() bool { name, err := shake(t, at, client.Config()); return name == "three" && err == nil })
}

// TestMountedSecretsAreReadAnew renews files as the kubelet does: they are links into a folder that is itself behind the link
// ..data, and that link alone is replaced, in one step.
func TestMountedSecretsAreReadAnew(t *testing.T) {
	t.Parallel()
	mount := t.TempDir()
	authority := certtest.NewAuthority(t, "ca")
	renew := func(name string) {
		t.Helper()
		folder := filepath.Join(mount, ".."+name)
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		authority.Issue(t, name, filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key"))
		link := filepath.Join(mount, "..data_tmp")
		if err := errors.Join(os.Symlink(".."+name, link), os.Rename(link, filepath.Join(mount, "..data"))); err != nil {
			t.Fatal(err)
		}
	}
	renew("one")
	files := certs.ServerFiles{Cert: filepath.Join(mount, "tls.crt"), Key: filepath.Join(mount, "tls.key")}
	for _, file := range []string{files.Cert, files.Key} {
		if err := os.Symlink(filepath.Join("..data", filepath.Base(file)), file); err != nil {
			t.Fatal(err)
		}
	}
	server, err := certs.Server(files, zaptest.NewLogger(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	client, err := certs.Client(certs.ClientFiles{CA: authority.File}, zaptest.NewLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	at := serve(t, server)
	if name, err := shake(t, at, client.Config()); name != "one" || err != nil {
		t.Fatalf("%q, %v", name, err)
	}
	renew("two")
	eventually(t, "the renewed Secret", func() bool { name, err := shake(t, at, client.Config()); return name == "two" && err == nil })
}

func TestNamesAreVerified(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	files := certs.ServerFiles{Cert: filepath.Join(folder, "c.pem"), Key: filepath.Join(folder, "k.pem")}
	authority := certtest.NewAuthority(t, "ca")
	authority.Issue(t, "one", files.Cert, files.Key)
	server, err := certs.Server(files, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	at := serve(t, server)
	client, err := certs.Client(certs.ClientFiles{CA: authority.File}, nil)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := client.Config()
	elsewhere.ServerName = "elsewhere.example"
	if _, err := shake(t, at, elsewhere); err == nil || !strings.Contains(err.Error(), "elsewhere.example") {
		t.Errorf("another's name: %v", err)
	}
	old := client.Config()
	old.MinVersion, old.MaxVersion = tls.VersionTLS11, tls.VersionTLS11
	if _, err := shake(t, at, old); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	system, err := certs.Client(certs.ClientFiles{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := shake(t, at, system.Config()); err == nil {
		t.Error("the system's authorities know ours")
	}
}

// What carries HTTP requests verifies the name, and each new connection trusts whom the file names then.
func TestRequestsVerifyAndFollowTheFiles(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	cert, key := filepath.Join(folder, "c.pem"), filepath.Join(folder, "k.pem")
	one, two := certtest.NewAuthority(t, "one"), certtest.NewAuthority(t, "two")
	serveAs := func(a *certtest.Authority, address net.IP) string {
		a.IssueFor(t, "server", []net.IP{address}, nil, cert, key)
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewUnstartedServer(http.NotFoundHandler())
		server.Config.ErrorLog = zap.NewStdLog(zap.NewNop())
		server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
		server.StartTLS()
		t.Cleanup(server.Close)
		return server.URL
	}
	local := net.IPv4(127, 0, 0, 1)
	ofOne, ofTwo, elsewhere := serveAs(one, local), serveAs(two, local), serveAs(one, net.IPv4(192, 0, 2, 1))
	trusted := filepath.Join(folder, "ca.pem")
	trust := func(a *certtest.Authority) {
		pem, err := os.ReadFile(a.File)
		if err := errors.Join(err, os.WriteFile(trusted, pem, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	trust(one)
	clients, err := certs.BrokerFiles{ManagementCA: trusted}.Management(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := clients.Transport()
	transport.DisableKeepAlives = true
	get := func(url string) error {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := transport.RoundTrip(request)
		if err == nil {
			_ = answer.Body.Close()
		}
		return err
	}
	if err := get(ofOne); err != nil {
		t.Fatal(err)
	}
	if err := get(elsewhere); err == nil || !strings.Contains(err.Error(), "192.0.2.1") {
		t.Errorf("a certificate for another host: %v", err)
	}
	if err := get(ofTwo); err == nil {
		t.Error("a certificate of another authority is taken")
	}
	trust(two)
	eventually(t, "the new authority", func() bool { return get(ofTwo) == nil })
	if err := get(ofOne); err == nil {
		t.Error("the old authority is trusted still")
	}
}

func TestWrongFilesAreNamedAtTheStart(t *testing.T) {
	t.Parallel()
	none := filepath.Join(t.TempDir(), "none.pem")
	if _, err := certs.Server(certs.ServerFiles{Cert: none}, nil, nil); err == nil || !strings.Contains(err.Error(), "go together") {
		t.Error(err)
	}
	if _, err := certs.Server(certs.ServerFiles{Cert: none, Key: none}, nil, nil); err == nil || !strings.Contains(err.Error(), none) {
		t.Error(err)
	}
	if cfg, err := certs.Server(certs.ServerFiles{}, nil, nil); cfg != nil || err != nil {
		t.Errorf("%v, %v", cfg, err)
	}
	for _, files := range []certs.ClientFiles{{CA: none}, {Cert: none, Key: none}, {Cert: none}} {
		if _, err := certs.Client(files, nil); err == nil {
			t.Errorf("%+v", files)
		}
	}
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := certs.Client(certs.ClientFiles{CA: empty}, nil); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Error(err)
	}
}
