package management

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve answers as a broker's management API, and returns a client of the virtual host a/b.
func serve(t *testing.T, handle http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	c, err := New(strings.Replace(server.URL, "http://", "http://user:secret@", 1), server.Client().Transport.(*http.Transport), "amqp://u:p@h:1/a%2fb,amqp://u:p@other/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(t.Context()) })
	return c
}

func TestSlotsComeInPages(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "user" || password != "secret" || r.URL.EscapedPath() != "/api/queues/a%2Fb" || r.FormValue("name") != `^cupline\.push\.` {
			t.Errorf("asked %s as %s", r.URL, user)
		}
		page := r.FormValue("page")
		_, _ = fmt.Fprintf(w, `{"page_count":2,"items":[{"name":"cupline.push.slot-%s"},{"name":"cupline.push.not a slot"}]}`, page)
	})
	slots, err := c.Slots(t.Context())
	if err != nil || !slices.Equal(slots, []string{"slot-1", "slot-2"}) {
		t.Fatalf("got %q, %v", slots, err)
	}
}

func TestBound(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.EscapedPath() != "/api/bindings/a%2Fb/e/cupline.clients/q/cupline.push.slot-1" {
			t.Errorf("asked %s", r.URL)
		}
		_, _ = w.Write([]byte(`[{"routing_key":"acme.web"},{"routing_key":"acme.app"}]`))
	})
	keys, err := c.Bound(t.Context(), "slot-1")
	if err != nil || !slices.Equal(keys, []string{"acme.web", "acme.app"}) {
		t.Fatalf("got %q, %v", keys, err)
	}
}

func TestFailuresShowNoPassword(t *testing.T) {
	t.Parallel()
	refused := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	garbage := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) })
	gone, err := New("http://user:secret@127.0.0.1:1", &http.Transport{}, "amqp://h")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*Client{"refused": refused, "garbage": garbage, "gone": gone} {
		if _, err := c.Slots(t.Context()); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "h:1", "http://h:1", "://user:secret@h"} {
		if _, err := New(url, nil, "amqp://h"); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v", url, err)
		}
	}
	if c, err := New("http://u:p@h", nil, "amqp://h"); err != nil || c.vhost != "/" {
		t.Errorf("got %+v, %v", c, err)
	}
}
