// Package wires_test runs the platform with TLS on every wire, with an authority of its own: HTTPS, WSS, AMQPS, MQTTS and
// Postgres.
package wires_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/certtest"
	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/e2e/platform"
	"github.com/cupline/cupline/local/ports"
	"github.com/cupline/cupline/local/process"
	"github.com/cupline/cupline/local/services"
	"github.com/cupline/cupline/schema/device"
)

const patience = 60 * time.Second

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // all of it needs processes
	}
	os.Exit(m.Run())
}

// site is a platform with TLS everywhere.
type site struct {
	*platform.Platform
	authority  *certtest.Authority
	folder     string // of certificates
	amqp, mqtt string // host:port with TLS
}

func newSite(t *testing.T) *site {
	t.Helper()
	// Readable by the accounts of broker and database, which a test's own folder is not.
	folder, err := os.MkdirTemp("", "cupline-wires-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	s := &site{authority: certtest.NewAuthority(t, "Cupline's own"), folder: filepath.Join(folder, "certs")}
	reserved, err := ports.Reserve(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reserved.Release() })
	s.amqp, s.mqtt = ports.Address(reserved.Ports[0]), ports.Address(reserved.Ports[1])
	authorities, err := os.ReadFile(s.authority.File)
	err = errors.Join(err, os.Mkdir(s.folder, 0o755), os.Chmod(folder, 0o755), os.WriteFile(s.file("ca.pem"), authorities, 0o644))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"broker", "database", "public"} {
		s.issue(t, name, name)
	}
	// Postgres refuses a key that others can read.
	account, err := process.Unprivileged("postgres")
	if err := errors.Join(err, os.Chmod(s.file("database.key"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := account.Own(s.file("database.key")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), platform.StartLimit)
	defer cancel()
	s.Platform, err = platform.StartWith(ctx, folder, platform.Extra{
		Broker: []string{
			"listeners.ssl.local = " + s.amqp, "mqtt.listeners.ssl.local = " + s.mqtt,
			"ssl_options.cacertfile = " + s.file("ca.pem"), "ssl_options.certfile = " + s.file("broker.pem"), "ssl_options.keyfile = " + s.file("broker.key"),
			"ssl_options.verify = verify_peer", "ssl_options.fail_if_no_peer_cert = false",
			"mqtt.ssl_cert_login = true", "ssl_cert_login_from = common_name",
		},
		Database: []string{"ssl = on", fmt.Sprintf("ssl_cert_file = '%s'", s.file("database.pem")), fmt.Sprintf("ssl_key_file = '%s'", s.file("database.key"))},
	})
	t.Cleanup(func() {
		if t.Failed() {
			s.Report(os.Stderr)
		}
		ending, done := context.WithTimeout(context.Background(), time.Minute)
		defer done()
		if err := s.Stop(ending); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) file(name string) string { return filepath.Join(s.folder, name) }

func (s *site) issue(t *testing.T, commonName, name string) {
	t.Helper()
	s.authority.Issue(t, commonName, s.file(name+".pem"), s.file(name+".key"))
}

// environment of a service that speaks TLS to broker and database, and on its public port.
func (s *site) environment(t *testing.T, program string) map[string]string {
	t.Helper()
	database, err := url.Parse(s.DatabaseURL(program))
	if err != nil {
		t.Fatal(err)
	}
	database.RawQuery = url.Values{"sslmode": {"verify-full"}, "sslrootcert": {s.file("ca.pem")}}.Encode()
	return map[string]string{
		"AMQP_URL": "amqps://any@" + s.amqp + "/", "CUPLINE_AMQP_CA_FILE": s.file("ca.pem"), "DATABASE_URL": database.String(),
		"CUPLINE_TLS_CERT_FILE": s.file("public.pem"), "CUPLINE_TLS_KEY_FILE": s.file("public.key"), "CUPLINE_DEVICE_CERTIFICATES": "true",
	}
}

// trust is a client's TLS.
func (s *site) trust(t *testing.T) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(s.authority.File)
	pool := x509.NewCertPool()
	if err != nil || !pool.AppendCertsFromPEM(pem) {
		t.Fatalf("read the authority: %v", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
}

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// client makes the tenant demo with a key, and a client that speaks TLS.
func (s *site) client(t *testing.T) *cupline.Client {
	t.Helper()
	printed, err := s.CLI(t.Context(), "keys", "create", "--database", "--tenant", "demo", "--client", "me",
		"--scope", "commands:send,replies:read,devices:read,devices:write", "--output", "json")
	if err != nil {
		t.Fatal(err)
	}
	var made struct{ Token string }
	if err := json.Unmarshal(printed, &made); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: s.trust(t), ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	client, err := cupline.New(cupline.Config{
		URL: "https://" + s.Service("api").Public, PushURL: "wss://" + s.Service("pusher").Public, Key: made.Token,
		HTTP: &http.Client{Transport: transport},
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestEveryWireSpeaksTLS(t *testing.T) {
	s := newSite(t)
	for _, program := range []string{services.API, services.Dispatcher, services.Pusher} {
		env := s.environment(t, program)
		env["CUPLINE_SLOT"] = "pusher-0"
		if _, err := s.Run(bounded(t), program, program, env); err != nil {
			t.Fatal(err)
		}
	}
	client := s.client(t)
	kind := device.Type{Name: "linux", Lane: "default", Driver: "mqtt", Methods: map[string]device.Method{"host.load": {Idempotent: true}}}
	if _, err := client.PutDeviceType(bounded(t), kind); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"by-password", "by-certificate"} {
		if _, err := client.PutDevice(bounded(t), device.Device{ID: id, Type: "linux"}); err != nil {
			t.Fatal(err)
		}
	}
	login, err := client.CreateDeviceCredential(bounded(t), "by-password", cupline.NewDeviceCredential{})
	if err != nil {
		t.Fatal(err)
	}
	s.issue(t, "demo/by-certificate", "device")
	s.agent(t, "by-password", map[string]string{"CUPLINE_MQTT_PASSWORD": login.Password})
	s.agent(t, "by-certificate", map[string]string{"CUPLINE_MQTT_CERT_FILE": s.file("device.pem"), "CUPLINE_MQTT_KEY_FILE": s.file("device.key")})

	outcomes := make(chan cupline.Outcome, 10)
	listener, err := client.Listen(cupline.ListenConfig{TLS: s.trust(t), Handle: func(_ context.Context, o cupline.Outcome) error {
		outcomes <- o
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	if err := listener.WaitOnline(bounded(t)); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"by-password", "by-certificate"} {
		if _, err := client.Send(bounded(t), id, "host.load", nil, cupline.SendOptions{}); err != nil {
			t.Fatal(err)
		}
		select {
		case o := <-outcomes:
			if o.Device != id || !strings.Contains(string(o.Response), "load1") {
				t.Errorf("outcome %s of %s", o.Response, o.Device)
			}
		case <-bounded(t).Done():
			t.Fatal("no outcome")
		}
	}
	s.foreignCertificates(t)
	s.expiry(t)
	s.renewed(t)
	s.expiry(t)
	s.plain(t)
	s.foreignHosts(t)
}

// agent starts one and waits until it is connected.
func (s *site) agent(t *testing.T, id string, more map[string]string) {
	t.Helper()
	env := map[string]string{
		"CUPLINE_MQTT_URL": "ssl://" + s.mqtt, "CUPLINE_MQTT_CA_FILE": s.file("ca.pem"), "CUPLINE_TENANT": "demo", "CUPLINE_DEVICE": id,
		"CUPLINE_AGENT_STATE": filepath.Join(s.Folder(), "agent-"+id),
	}
	for name, value := range more {
		env[name] = value
	}
	if _, err := s.Run(bounded(t), "agent-"+id, services.Agent, env); err != nil {
		t.Fatal(err)
	}
}

// foreignCertificates let nobody in: one for a device that is not registered, and one of another authority.
func (s *site) foreignCertificates(t *testing.T) {
	t.Helper()
	s.issue(t, "demo/none", "none")
	other := certtest.NewAuthority(t, "another")
	other.Issue(t, "demo/by-certificate", s.file("other.pem"), s.file("other.key"))
	for what, try := range map[string]struct{ certificate, device, client string }{
		"the certificate of a device that is not there": {"none", "none", "demo/none"},
		"a certificate of another authority":            {"other", "by-certificate", "demo/by-certificate"},
		"another device's client id":                    {"device", "by-password", "demo/by-password"},
		"another device's topic":                        {"device", "by-password", "demo/by-certificate/second"},
		"neither password nor certificate":              {"", "by-certificate", "demo/by-certificate"},
	} {
		if s.subscribe(t, try.certificate, try.device, try.client) == nil {
			t.Errorf("%s lets in", what)
		}
	}
	if err := s.subscribe(t, "device", "by-certificate", "demo/by-certificate/second"); err != nil {
		t.Errorf("the device's own: %v", err)
	}
}

// subscribe is Mosquitto's tool with a client certificate and no name, which ends once it is subscribed to a device's commands, or
// with the error that it was refused with.
func (s *site) subscribe(t *testing.T, certificate, id, clientID string) error {
	t.Helper()
	host, port, err := net.SplitHostPort(s.mqtt)
	if err != nil {
		t.Fatal(err)
	}
	arguments := []string{"-h", host, "-p", port, "-V", "mqttv311", "--cafile", s.file("ca.pem"), "-i", clientID, "-E", "-W", "15",
		"-t", "devices/demo/" + id + "/commands/+"}
	if certificate != "" {
		arguments = append(arguments, "--cert", s.file(certificate+".pem"), "--key", s.file(certificate+".key"))
	}
	said, err := exec.CommandContext(bounded(t), "mosquitto_sub", arguments...).CombinedOutput()
	if err == nil && bytes.Contains(said, []byte("denied")) {
		err = errors.New("the subscription is denied")
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, said)
	}
	return nil
}

// renewed: a new certificate is shown without a restart.
func (s *site) renewed(t *testing.T) {
	t.Helper()
	shown := func(address string) string {
		dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: s.trust(t)}
		conn, err := dialer.DialContext(t.Context(), "tcp", address)
		if err != nil {
			return err.Error()
		}
		defer func() { _ = conn.Close() }()
		return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	s.issue(t, "renewed", "public")
	for _, program := range []string{services.API, services.Pusher} {
		ctx := bounded(t)
		for at := s.Service(program).Public; shown(at) != "renewed"; {
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
				t.Fatalf("%s shows %s", program, shown(at))
			}
		}
	}
}

// plain: who speaks no TLS gets nothing of the public ports; the internal ports are others.
func (s *site) plain(t *testing.T) {
	t.Helper()
	for _, program := range []string{services.API, services.Pusher} {
		for _, path := range []string{"/v1/devices", "/healthz", "/metrics", "/broker/user"} {
			for scheme, want := range map[string]int{"http": http.StatusBadRequest, "https": 0} {
				client := http.Client{Transport: &http.Transport{TLSClientConfig: s.trust(t), DisableKeepAlives: true}, Timeout: 10 * time.Second}
				answer, err := client.Get(scheme + "://" + s.Service(program).Public + path)
				if err != nil {
					t.Fatal(err)
				}
				_ = answer.Body.Close()
				if want != 0 && answer.StatusCode != want || answer.StatusCode < 400 {
					t.Errorf("%s of %s over %s answers %s", path, program, scheme, answer.Status)
				}
			}
		}
	}
}
