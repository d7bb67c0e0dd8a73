package app

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/chassis/settings"
)

// told is what a refusal for its rate has to say.
func (w *world) told(a answer) {
	w.t.Helper()
	after, err := strconv.Atoi(a.header.Get("Retry-After"))
	if err != nil || after < 1 || after > 3600 || a.status != 429 || !strings.Contains(a.body, `"code":"rate_limited"`) {
		w.t.Errorf("got %v with Retry-After %q", a, a.header.Get("Retry-After"))
	}
}

func TestRatesAreLimited(t *testing.T) {
	t.Parallel()
	const slow = 0.001 // nothing comes back within a test
	w := newWorld(t, func(_ *world, s *Settings) {
		s.Limits = Limits{ClientRate: 20 * slow, DeviceRate: 3 * slow}
	})
	// Buckets of less than one token hold one.
	w.expect(w.post("lamp-1", `{"jsonrpc":"2.0","id":"1","method":"host.info"}`), 202, "")
	w.told(w.post("lamp-1", `{"jsonrpc":"2.0","id":"2","method":"host.info"}`))
	// Another client meets the device's limit, and another tenant neither.
	w.told(w.post("lamp-1", `{"jsonrpc":"2.0","id":"1","method":"host.info"}`, bearer(w.newKey("acme", "desk", auth.CommandsSend))...))
	w.expect(w.post("lamp-1", `{"jsonrpc":"2.0","id":"1","method":"host.info"}`, bearer(w.newKey("other", "shop", auth.CommandsSend))...), 202, "")
	w.expect(w.do("GET", "/v1/devices", ""), 200, "")
}

func TestKeysAreLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *world, s *Settings) { s.Limits = Limits{KeyRate: 0.1} }) // a bucket of one
	limited := false
	for range 20 {
		if a := w.do("GET", "/v1/lanes", ""); a.status == 429 {
			w.told(a)
			limited = true
		}
	}
	if !limited {
		t.Error("20 requests at once, and none too many")
	}
	w.expect(w.do("GET", "/v1/lanes", "", bearer(w.newKey("acme", "desk", auth.DevicesRead))...), 200, "")
}

func TestFailedLoginsAreLimitedAndOnRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *world, s *Settings) { s.Limits = Limits{FailedLogins: 0.01} })
	w.expect(w.do("GET", "/v1/devices", ""), 200, "") // from here on this key is known
	token := w.newKey("acme", "gone", auth.DevicesRead)
	id := strings.Split(token, "_")[1]
	w.check(w.keys.RevokeKey(t.Context(), "acme", id))
	w.expect(w.do("GET", "/v1/devices", "", bearer(token)...), 401, "unauthorized")
	// No more guesses from this address, while keys that are known go on.
	w.told(w.do("GET", "/v1/devices", "", bearer("cup_aaaaaaaaaaaaaaaa_"+strings.Repeat("x", 43))...))
	w.expect(w.do("GET", "/v1/devices", ""), 200, "")
	root := bearer(w.newKey("system", "root", auth.OpsRead))
	brokertest.Eventually(t, "the failed log-in is in the trail", func() bool {
		// Its key has not been here yet, so it is looked up from another address than ours: not over HTTP.
		entries, err := w.trail().List(t.Context(), "system", time.Time{}, 10)
		return err == nil && len(entries) == 1 && entries[0].Action == "login_failed" && entries[0].Actor == "key "+id &&
			strings.Contains(entries[0].Detail, "from 127.0.0.1") && !strings.Contains(entries[0].Detail, token)
	})
	w.told(w.do("GET", "/v1/audit", "", root...)) // not known here yet, so it counts as a guess
}

// One connection too many is told so, over TLS or not, and who is inside goes on.
func TestConnectionsAreLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *world, s *Settings) { s.Limits = Limits{Connections: 1, DeviceLogins: 10} })
	w.expect(w.do("GET", "/v1/devices", ""), 200, "") // and its connection is kept
	other := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.app.Addr()+"/v1/devices", nil)
	w.check(err)
	r.Header.Set("Authorization", "Bearer "+w.newKey("acme", "desk", auth.DevicesRead))
	answer, err := other.Do(r)
	w.check(err)
	body, err := io.ReadAll(answer.Body)
	w.check(errors.Join(err, answer.Body.Close()))
	if answer.StatusCode != 503 || answer.Header.Get("Retry-After") == "" || !answer.Close || !strings.Contains(string(body), `"code":"overloaded"`) {
		t.Errorf("got %v %v %s", answer.Status, answer.Header, body)
	}
	w.expect(w.do("GET", "/v1/devices", ""), 200, "")
}

func TestLimitsAreChecked(t *testing.T) {
	t.Parallel()
	var s Settings
	err := settings.Load(&s, []string{
		"AMQP_URL=amqp://x", "DATABASE_URL=postgres://x", "CUPLINE_KEY_RATE=-1", "CUPLINE_DEVICE_RATE=NaN", "CUPLINE_TRUSTED_PROXIES=10.0.0.1",
		"CUPLINE_HEADER_TIMEOUT=1h", "CUPLINE_MAX_CONNECTIONS=0", "CUPLINE_DEVICE_FAILED_LOGINS=0", "CUPLINE_IDLE_TIMEOUT=1ms", "CUPLINE_JWT_ISSUER=x",
	})
	for _, name := range []string{"KEY_RATE", "DEVICE_RATE", "TRUSTED_PROXIES", "HEADER_TIMEOUT", "MAX_CONNECTIONS", "DEVICE_FAILED_LOGINS", "IDLE_TIMEOUT", "JWT_ISSUER"} {
		if err == nil || !strings.Contains(err.Error(), "CUPLINE_"+name) {
			t.Errorf("%s is not among %v", name, err)
		}
	}
}
