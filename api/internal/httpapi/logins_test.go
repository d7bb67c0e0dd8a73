package httpapi

import (
	"net"
	"net/http/httptest"
	"testing"
)

func TestAddressOfARequest(t *testing.T) {
	t.Parallel()
	_, proxies, err := net.ParseCIDR("10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		proxies         []*net.IPNet
		peer, forwarded string
		want            string
	}{
		{nil, "192.0.2.1:99", "198.51.100.7", "192.0.2.1"},
		{[]*net.IPNet{proxies}, "192.0.2.1:99", "198.51.100.7", "192.0.2.1"},
		{[]*net.IPNet{proxies}, "10.1.2.3:99", "198.51.100.7", "198.51.100.7"},
		{[]*net.IPNet{proxies}, "10.1.2.3:99", "203.0.113.9, 198.51.100.7, 10.9.9.9", "198.51.100.7"},
		{[]*net.IPNet{proxies}, "10.1.2.3:99", "", "10.1.2.3"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.peer
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := addresses(c.proxies)(r); got != c.want {
			t.Errorf("%s for %s behind %v: %s", c.peer, c.forwarded, c.proxies, got)
		}
	}
}
