package livetest

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/cupline/cupline/local/netns"
	"github.com/cupline/cupline/local/rabbitmq"
)

// TestNodesOnHostsOfTheirOwnArePartedByTheNetwork: two nodes find each other by the names of their hosts, lose each other when
// the way between them is cut, while this machine still reaches both, and the one that is started again is back.
func TestNodesOnHostsOfTheirOwnArePartedByTheNetwork(t *testing.T) {
	t.Parallel()
	network, err := netns.Open(bounded(t), 2)
	if errors.Is(err, netns.ErrUnavailable) {
		t.Logf("nothing is parted here: %v", err)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := network.Close(bounded(t)); err != nil {
			t.Error(err)
		}
	})
	var hosts []rabbitmq.Host
	for _, h := range network.Hosts() {
		hosts = append(hosts, rabbitmq.Host{Name: h.Name, Address: h.Address, Network: h.Path})
	}
	// A silence that is longer than a busy machine's stalls: they are not to part before they are.
	const silence = 12 * time.Second
	// Without MQTT: of two nodes the plugin has no majority while one starts, and 3.10 waits minutes for it.
	plugins, base := []string{"rabbitmq_management"}, openFolder(t)
	first := broker(t, rabbitmq.Config{
		Base: base, Plugins: plugins, StartLimit: limit, Host: hosts[0], Hosts: hosts, Silence: silence,
	})
	second := broker(t, rabbitmq.Config{
		Base: base, Plugins: plugins, StartLimit: limit, Host: hosts[1], Hosts: hosts, Silence: silence,
		Name: "rabbitmq-1", EpmdPort: first.EpmdPort(), User: first.User(), Password: first.Password(), Cookie: first.Cookie(),
		Settings: []string{
			"cluster_formation.peer_discovery_backend = rabbit_peer_discovery_classic_config",
			"cluster_formation.classic_config.nodes.1 = " + first.Node(),
		},
	})
	sees := func(node *rabbitmq.Instance, want int) func() bool {
		return func() bool {
			var nodes []struct{ Running bool }
			code, up := ask(t, http.MethodGet, node.ManagementURL(), "/api/nodes", "", &nodes), 0
			for _, n := range nodes {
				if n.Running {
					up++
				}
			}
			return code == http.StatusOK && up == want
		}
	}
	eventually(t, "the second node knows the first", sees(second, 2))
	if err := errors.Join(network.Cut(t.Context(), 0, 1), network.Cut(t.Context(), 1, 0)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first node is alone", sees(first, 1))
	eventually(t, "the second node is alone", sees(second, 1))
	// Parted nodes do not simply go on together: one has to begin anew.
	if err := second.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(network.Mend(t.Context(), 0, 1), network.Mend(t.Context(), 1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := second.Start(bounded(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second node is back", sees(first, 2))
}
