package app

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/chassis/settings"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/topology"
)

// What the console's pages are made of.
func TestOverview(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world, s *Settings) {
		s.ManagementURL, s.PushURL = settings.Secret(w.broker.ManagementURL()), "wss://push.example"
	})
	for name, test := range map[string]func(*testing.T, *world){
		"Me": whoseKey, "Clients": connectedClients, "Commands": recentCommands, "Devices": foundDevices, "Console": theConsole,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			here := *w
			here.t = t
			test(t, &here)
		})
	}
}

func whoseKey(t *testing.T, w *world) {
	w.key = w.newKey("acme", "watcher", auth.OpsRead)
	a := w.do("GET", "/v1/me", "")
	if w.expect(a, 200, ""); !strings.Contains(a.body, `"tenant":"acme"`) || !strings.Contains(a.body, `"scopes":["ops:read"]`) || !strings.Contains(a.body, `"client":"watcher"`) {
		t.Error(a)
	}
	w.key = "cup_wrong_key"
	w.expect(w.do("GET", "/v1/me", ""), 401, "unauthorized")
}

// Connected are the clients whose outcomes the broker routes to a pusher.
func connectedClients(t *testing.T, w *world) {
	type picture struct {
		Known   bool
		Total   int
		All     *int `json:"platform_total"`
		Clients []struct {
			Client  string
			Pushers []string
		}
	}
	ask := func(path string) (p picture) {
		a := w.do("GET", path, "")
		w.expect(a, 200, "")
		w.into(a, &p)
		return p
	}
	for _, slot := range []string{"pusher-0", "pusher-1"} {
		w.broker.Declare(t, topology.Push(slot), topology.Topology{Bindings: []topology.Binding{topology.Client(slot, "acme", "shop")}})
	}
	w.broker.Declare(t, topology.Topology{Bindings: []topology.Binding{topology.Client("pusher-0", "other", "theirs")}})
	var p picture
	brokertest.Eventually(t, "the client is seen on both pushers", func() bool {
		p = ask("/v1/connected-clients")
		return p.Total == 1 && len(p.Clients[0].Pushers) == 2
	})
	if !p.Known || p.All != nil || p.Clients[0].Client != "shop" || !slices.Equal(p.Clients[0].Pushers, []string{"pusher-0", "pusher-1"}) {
		t.Errorf("%+v", p)
	}
	w.expect(w.do("GET", "/v1/connected-clients?tenant=other", ""), 403, "forbidden")
	w.key = w.newKey("acme", "chief", auth.OpsRead, auth.OpsPlatform)
	brokertest.Eventually(t, "the platform sees the other tenant's", func() bool { // a broker that is busy is not waited for
		p = ask("/v1/connected-clients?tenant=other")
		return p.Total == 1
	})
	if p.All == nil || *p.All != 2 {
		t.Errorf("%+v", p)
	}
}

func recentCommands(t *testing.T, w *world) {
	var found struct {
		Commands []struct{ Client, Reason, State string }
	}
	a := w.do("GET", "/v1/recent-commands?device=nobody", "")
	if w.expect(a, 200, ""); a.body != `{"commands":[]}` {
		t.Error(a)
	}
	w.into(w.do("GET", "/v1/recent-commands", ""), &found)
	a = w.do("GET", "/v1/outcome-counts?window=1m", "")
	if w.expect(a, 200, ""); !strings.Contains(a.body, `"failed":{`) {
		t.Error(a)
	}
	for path, field := range map[string]string{
		"recent-commands?state=dead": "state", "recent-commands?since=yesterday": "since", "recent-commands?client=%00": "client", "recent-commands?limit=0": "limit",
		"recent-commands?device_type=x": "device_type", "outcome-counts?window=2h": "window", "outcome-counts?window=-1s": "window", "outcome-counts?windw=1m": "windw",
		"connected-clients?limit=x": "limit",
	} {
		a := w.do("GET", "/v1/"+path, "")
		if w.expect(a, 400, "invalid_parameter"); !strings.Contains(a.body, `"field":"`+field+`"`) {
			t.Errorf("%s: %v", path, a)
		}
	}
	w.expect(w.do("GET", "/v1/recent-commands?tenant=other", ""), 403, "forbidden")
	w.expect(w.do("GET", "/v1/outcome-counts?tenant=other", ""), 403, "forbidden")
}

func foundDevices(t *testing.T, w *world) {
	w.putDevice(device.Device{Tenant: "acme", ID: "Fan_in-100@", Type: "lamp", Labels: map[string]string{"room": "Kitchen%"}})
	for query, want := range map[string]bool{
		"text=fan_": true, "text=kitchen%25": true, "text=FAN%25": false, "type=lamp&text=fan": true, "type=fridge": false, "text=kitchen%25&after=Z": false,
	} {
		a := w.do("GET", "/v1/devices?"+query, "")
		if w.expect(a, 200, ""); strings.Contains(a.body, "Fan_in-100@") != want {
			t.Errorf("%s: %v", query, a)
		}
	}
	w.expect(w.do("GET", "/v1/devices?text=%00", ""), 400, "invalid_parameter")
}

// The console is no part of the API's contract.
func theConsole(t *testing.T, w *world) {
	answer, err := w.base.RoundTrip(must(http.NewRequest("GET", "http://"+w.app.Addr()+"/console/dead-letters/list?state=open", nil)))
	w.check(err)
	defer answer.Body.Close()
	if answer.StatusCode != 200 || !strings.Contains(answer.Header.Get("Content-Security-Policy"), "connect-src 'self' wss://push.example") || answer.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("%d %v", answer.StatusCode, answer.Header)
	}
}
