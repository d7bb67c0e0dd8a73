package peer

import (
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWhereARequestComesFrom(t *testing.T) {
	t.Parallel()
	proxies, err := ParseProxies("X", []string{"10.0.0.0/8", "fd00::/8"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		trusted Proxies
		peer    string
		headers []string
		want    string
	}{
		{nil, "192.0.2.1:5000", nil, "192.0.2.1"},
		{nil, "10.0.0.1:5000", []string{"198.51.100.7"}, "10.0.0.1"},
		{proxies, "192.0.2.1:5000", []string{"198.51.100.7"}, "192.0.2.1"}, // whoever is no proxy writes what it likes
		{proxies, "10.0.0.1:5000", []string{"198.51.100.7"}, "198.51.100.7"},
		{proxies, "10.0.0.1:5000", []string{"203.0.113.1, 198.51.100.7, 10.9.9.9"}, "198.51.100.7"},
		{proxies, "10.0.0.1:5000", []string{"203.0.113.1", "198.51.100.7"}, "198.51.100.7"},
		{proxies, "10.0.0.1:5000", []string{"10.0.0.3"}, "10.0.0.3"},
		{proxies, "10.0.0.1:5000", []string{"198.51.100.7, nonsense"}, "10.0.0.1"},
		{proxies, "10.0.0.1:5000", nil, "10.0.0.1"},
		{proxies, "[::ffff:10.0.0.1]:5000", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		{proxies, "[fd00::1]:5000", []string{"2001:db8::5"}, "2001:db8::5"},
		{proxies, "@", []string{"198.51.100.7"}, ""},
	} {
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.headers}}
		if got := c.trusted.Address(r); got != c.want {
			t.Errorf("%s with %q: got %q, want %q", c.peer, c.headers, got, c.want)
		}
	}
}

func TestNetworksAreChecked(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{"10.0.0.1", "10.0.0.0/33", "all", ""} {
		if _, err := ParseProxies("CUPLINE_X", []string{wrong}); err == nil || !strings.Contains(err.Error(), "CUPLINE_X") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func TestWhoeverHasASiteIsCountedOnce(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "2001:db8:1:2::9": "2001:db8:1:2::/64", "2001:db8:1:3::9": "2001:db8:1:3::/64", "": "", "x": "x",
	} {
		if got := Group(address); got != want {
			t.Errorf("%q: got %q, want %q", address, got, want)
		}
	}
}
