package livetest

import (
	"net/http"
	"testing"

	"github.com/cupline/cupline/local/rabbitmq"
)

// TestAnyNodeOfAClusterMayEnd: with an epmd of its own a cluster does without its first node, which then
// comes back.
func TestAnyNodeOfAClusterMayEnd(t *testing.T) {
	t.Parallel()
	base := openFolder(t)
	epmd, err := rabbitmq.StartEpmd(bounded(t), base)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := epmd.Discard(bounded(t)); err != nil {
			t.Error(err)
		}
	})
	if _, err := rabbitmq.StartEpmd(bounded(t), base); err == nil {
		t.Error("a second one was started in the same folder")
	}
	// Without MQTT: of two nodes the plugin has no majority while one starts, and 3.10 waits minutes for it.
	plugins := []string{"rabbitmq_management"}
	first := broker(t, rabbitmq.Config{Base: base, Plugins: plugins, EpmdPort: epmd.Port(), StartLimit: limit})
	second := broker(t, rabbitmq.Config{
		Base: base, Plugins: plugins, Name: "rabbitmq-1", EpmdPort: epmd.Port(), StartLimit: limit, User: first.User(), Password: first.Password(), Cookie: first.Cookie(),
		Settings: []string{
			"cluster_formation.peer_discovery_backend = rabbit_peer_discovery_classic_config",
			"cluster_formation.classic_config.nodes.1 = " + first.Node(),
		},
	})
	running := func(want int) func() bool {
		return func() bool {
			var nodes []struct{ Running bool }
			code, up := ask(t, http.MethodGet, second.ManagementURL(), "/api/nodes", "", &nodes), 0
			for _, n := range nodes {
				if n.Running {
					up++
				}
			}
			return code == http.StatusOK && up == want
		}
	}
	eventually(t, "the second node knows the first", running(2))
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second node is alone", running(1))
	if err := first.Start(bounded(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first node is back", running(2))
}
