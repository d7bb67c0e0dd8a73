package app

import (
	"io"
	"net/http"
	"regexp"
	"slices"
	"testing"
)

// Labels of metrics are bounded: a tenant is one that exists, and nothing that clients make up is a label.
func TestLabelsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.expect(w.post("lamp-1", `{"jsonrpc":"2.0","id":"x","method":"host.info"}`), 202, "")
	w.expect(w.post("lamp-1", `{"jsonrpc":"2.0","id":"x","method":"relay.set","params":{}}`), 422, "")
	w.expect(w.post("made-up", `{"jsonrpc":"2.0","id":"x","method":"host.info"}`), 404, "")
	w.expect(w.do("GET", "/v1/dead-letters?tenant=made-up", ""), 403, "")
	w.expect(w.do("GET", "/v1/devices", "", bearer("made-up")...), 401, "")
	got, err := w.base.RoundTrip(must(http.NewRequest("GET", "http://"+w.app.InternalAddr()+"/metrics", nil)))
	w.check(err)
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	w.check(err)
	tenants := 0
	for _, label := range regexp.MustCompile(`[{,]([a-z_]+)="([^"]*)"`).FindAllStringSubmatch(string(text), -1) {
		switch name, value := label[1], label[2]; {
		case name == "tenant" && value != "acme":
			t.Errorf("a metric of the tenant %q", value)
		case name == "tenant":
			tenants++
		case slices.Contains([]string{"client", "device", "id", "command_id", "key", "token", "address"}, name):
			t.Errorf("a metric has the label %s=%q", name, value)
		}
	}
	if tenants < 2 {
		t.Errorf("%d metrics tell whose they are", tenants)
	}
}
