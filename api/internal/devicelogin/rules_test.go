package devicelogin

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"github.com/cupline/cupline/store/credential"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestClientIDsAreOnesOwn(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		"acme/lamp-1": true, "acme/lamp-1/x": true, "acme/lamp-1/x/y": true,
		"": false, "acme/lamp-2": false, "acme/lamp-1x": false, "acme/lamp-1/": false, "acme/lamp-1/*": false, "acme/lamp-1/#": false,
		"acme/lamp-1/a.b": false, "other/lamp-1": false, "acme/lamp-1/" + strings.Repeat("x", 200): false, "acme/lamp-1/x\x00": false,
	} {
		if ownClientID("acme/lamp-1", id) != want {
			t.Errorf("%q: %t", id, !want)
		}
	}
}

func TestTopicsAreOnesOwn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		right, key string
		want       bool
	}{
		{read, "devices.acme.lamp-1.commands.*", true},
		{read, "devices.acme.lamp-1.commands.#", true},
		{read, "devices.acme.lamp-1.commands.d-1", true},
		{read, "devices.acme.lamp-1.commands", false},
		{read, "devices.acme.lamp-1.commands.", false},
		{read, "devices.acme.lamp-1.commands.*.*", false},
		{read, "devices.acme.lamp-1.#", false},
		{read, "devices.acme.lamp-1.replies.*", false},
		{read, "devices.acme.lamp-1.events.#", false},
		{read, "devices.acme.lamp-2.commands.*", false},
		{read, "devices.acme.*.commands.*", false},
		{read, "devices.other.lamp-1.commands.*", false},
		{read, "devices.#", false},
		{read, "#", false},
		{read, "$SYS.#", false},
		{write, "devices.acme.lamp-1.replies.d-1", true},
		{write, "devices.acme.lamp-1.events.on", true},
		{write, "devices.acme.lamp-1.events.door.open", true},
		{write, "devices.acme.lamp-1.replies", false},
		{write, "devices.acme.lamp-1.replies.", false},
		{write, "devices.acme.lamp-1.replies.d-1.x", false},
		{write, "devices.acme.lamp-1.replies.*", false},
		{write, "devices.acme.lamp-1.events", false},
		{write, "devices.acme.lamp-1.events.a..b", false},
		{write, "devices.acme.lamp-1.events" + strings.Repeat(".a", 9), false},
		{write, "devices.acme.lamp-1.commands.d-1", false},
		{write, "devices.acme.lamp-2.replies.d-1", false},
		{write, "devices.acme.lamp-1/replies.d-1", false},
		{write, "$SYS.x", false},
		{"configure", "devices.acme.lamp-1.events.on", false},
		{"", "devices.acme.lamp-1.events.on", false},
	} {
		if topicAllowed("acme/lamp-1", "acme/lamp-1/x", "amq.topic", c.right, c.key) != c.want {
			t.Errorf("%s %q: %t", c.right, c.key, !c.want)
		}
	}
	if topicAllowed("acme/lamp-1", "acme/lamp-1", "cupline.commands", write, "devices.acme.lamp-1.events.on") ||
		topicAllowed("acme/lamp-1", "acme/lamp-2", "amq.topic", write, "devices.acme.lamp-1.events.on") {
		t.Error("another exchange, or another's client id")
	}
}

func TestResourcesAreOnesOwn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind, name, right string
		want              bool
	}{
		{"queue", "mqtt-subscription-acme/lamp-1/xqos0", "configure", true},
		{"queue", "mqtt-subscription-acme/lamp-1/xqos0", "write", true},
		{"queue", "mqtt-subscription-acme/lamp-1/xqos0", "read", true},
		{"queue", "mqtt-subscription-acme/lamp-1/xqos0", "delete", false},
		{"queue", "mqtt-subscription-acme/lamp-1/xqos1", "configure", false},
		{"queue", "mqtt-subscription-acme/lamp-1qos0", "configure", false},
		{"queue", "mqtt-subscription-acme/lamp-2qos0", "read", false},
		{"queue", "cupline.work.default", "read", false},
		{"exchange", "amq.topic", "write", true},
		{"exchange", "amq.topic", "read", true},
		{"exchange", "amq.topic", "configure", false},
		{"exchange", "amq.default", "write", false},
		{"exchange", "cupline.commands", "write", false},
		{"topic", "amq.topic", "write", false},
	} {
		if resourceAllowed("acme/lamp-1", "acme/lamp-1/x", c.kind, c.name, c.right) != c.want {
			t.Errorf("%s %s %s: %t", c.right, c.kind, c.name, !c.want)
		}
	}
}

// keyring answers like a store.
type keyring struct {
	password string
	err      error
	asked    int
}

func (k *keyring) Verify(_ context.Context, tenant, device, password string) (string, error) {
	k.asked++
	if k.err != nil {
		return "", k.err
	}
	if tenant+"/"+device != "acme/lamp-1" || password != k.password {
		return "", credential.ErrWrong
	}
	return "id", nil
}

func (k *keyring) Registered(_ context.Context, tenant, device string) (bool, error) {
	return tenant+"/"+device == "acme/lamp-1", k.err
}

func handler(t *testing.T, k *keyring, certificates bool, refused *[]string) *Handler {
	t.Helper()
	metrics, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return New("/broker", Config{
		Credentials: k, Devices: k, Vhost: "/", Certificates: certificates, Limit: NewLimit(3, time.Hour, nil), Metrics: metrics, Log: zaptest.NewLogger(t),
		Refused: func(_ context.Context, tenant, device, why string) {
			*refused = append(*refused, tenant+"/"+device+": "+why)
		},
	})
}

func ask(h *Handler, question string, fields ...string) string {
	f := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		f.Add(fields[i], fields[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, "/broker/"+question, strings.NewReader(f.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Body.String()
}

func password(secret string) string { return "dev_aaaaaaaaaaaaaaaa_" + strings.Repeat(secret, 43) }

func TestLogIn(t *testing.T) {
	t.Parallel()
	var refused []string
	k := &keyring{password: password("s")}
	h := handler(t, k, false, &refused)
	login := func(fields ...string) string { return ask(h, "user", fields...) }
	for _, c := range []struct {
		name   string
		fields []string
		want   string
	}{
		{"its own", []string{"username", "acme/lamp-1", "password", k.password, "vhost", "/", "client_id", "acme/lamp-1"}, "allow"},
		{"below", []string{"username", "acme/lamp-1", "password", k.password, "vhost", "/", "client_id", "acme/lamp-1/x"}, "allow"},
		{"another's client id", []string{"username", "acme/lamp-1", "password", k.password, "vhost", "/", "client_id", "acme/lamp-2"}, "deny"},
		{"over AMQP", []string{"username", "acme/lamp-1", "password", k.password, "vhost", "/"}, "deny"},
		{"another virtual host", []string{"username", "acme/lamp-1", "password", k.password, "vhost", "other", "client_id", "acme/lamp-1"}, "deny"},
		{"two names", []string{"username", "acme/lamp-1", "username", "acme/lamp-2", "password", k.password, "vhost", "/", "client_id", "acme/lamp-1"}, "deny"},
		{"two passwords", []string{"username", "acme/lamp-1", "password", k.password, "password", k.password, "vhost", "/", "client_id", "acme/lamp-1"}, "deny"},
		{"no password", []string{"username", "acme/lamp-1", "vhost", "/", "client_id", "acme/lamp-1"}, "deny"},
		{"an empty one", []string{"username", "acme/lamp-1", "password", "", "vhost", "/", "client_id", "acme/lamp-1"}, "deny"},
		{"a service's name", []string{"username", "cupline-api", "password", "x", "vhost", "/", "client_id", "cupline-api"}, "deny"},
	} {
		if got := login(c.fields...); got != c.want {
			t.Errorf("%s: %s", c.name, got)
		}
	}
	refused, k.asked = nil, 0
	h = handler(t, k, false, &refused)
	own := []string{"username", "acme/lamp-1", "vhost", "/", "client_id", "acme/lamp-1", "password"}
	for range 10 {
		if login(append(own, password("x"))...) != "deny" {
			t.Error("a wrong password is good")
		}
	}
	if k.asked != 3 || len(refused) == 0 || len(refused) > 3 || strings.Contains(strings.Join(refused, ""), "xxx") {
		t.Errorf("asked %d times, told %v", k.asked, refused)
	}
	// Whoever guesses with another credential's id keeps nobody out.
	k.password = "dev_bbbbbbbbbbbbbbbb_" + strings.Repeat("s", 43)
	if login(append(own, k.password)...) != "allow" {
		t.Error("the device itself is kept out by who guesses at it")
	}
	k.err = errors.New("away")
	if got := login(append(own, k.password)...); got != "unknown\n" {
		t.Errorf("with the database away: %q", got)
	}
	r := httptest.NewRequest(http.MethodGet, "/broker/user?username=acme/lamp-1", nil)
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET answers %d", w.Code)
	}
}

func TestACertificateLetsInWhereItIsAccepted(t *testing.T) {
	t.Parallel()
	var refused []string
	h := handler(t, &keyring{}, true, &refused)
	if ask(h, "user", "username", "acme/lamp-1", "vhost", "/", "client_id", "acme/lamp-1") != "allow" ||
		ask(h, "user", "username", "acme/lamp-1") != "allow" || // as RabbitMQ 3.10 asks
		ask(h, "vhost", "username", "acme/lamp-1", "vhost", "/", "ip", "127.0.0.1") != "deny" || // over AMQP
		ask(h, "vhost", "username", "acme/lamp-1", "client_id", "acme/lamp-2", "vhost", "/") != "deny" ||
		ask(h, "user", "username", "acme/lamp-1", "client_id", "acme/lamp-2") != "deny" ||
		ask(h, "user", "username", "acme/lamp-2", "vhost", "/", "client_id", "acme/lamp-2") != "deny" ||
		ask(h, "user", "username", "acme/lamp-1", "password", "", "vhost", "/", "client_id", "acme/lamp-1") != "deny" {
		t.Error("a certificate lets in its own device, if that is registered, and an empty password is none")
	}
}

func TestRightsNeedNoDatabase(t *testing.T) {
	t.Parallel()
	var refused []string
	h := handler(t, &keyring{err: errors.New("away")}, false, &refused)
	const name, id = "acme/lamp-1", "acme/lamp-1"
	for question, fields := range map[string][]string{
		"vhost":    {"username", name, "client_id", id, "vhost", "/", "ip", "127.0.0.1", "tags", ""},
		"resource": {"username", name, "client_id", id, "vhost", "/", "resource", "exchange", "name", "amq.topic", "permission", "write"},
		"topic": {"username", name, "variable_map.client_id", id, "vhost", "/", "resource", "topic", "name", "amq.topic", "permission", "write",
			"routing_key", "devices.acme.lamp-1.replies.d-1"},
	} {
		if got := ask(h, question, fields...); got != "allow" {
			t.Errorf("%s: %s", question, got)
		}
		for i, field := range fields {
			if field == "vhost" {
				fields[i+1] = "other"
			}
		}
		if got := ask(h, question, fields...); got != "deny" {
			t.Errorf("%s in another virtual host: %s", question, got)
		}
	}
}
