package rabbitmq

import (
	"slices"
	"strings"
	"testing"

	"github.com/cupline/cupline/local/packages"
)

func settingsOf(t *testing.T, config Config, version packages.Version) []string {
	t.Helper()
	config.Base = "/b"
	config, err := config.complete()
	if err != nil {
		t.Fatal(err)
	}
	known := memory{User: "u", Password: "p", AMQPPort: 1001, MQTTPort: 1002, ManagementPort: 1003}
	return settings(config, known, version, layoutOf("/w"))
}

func TestSettingsBindToLoopbackOnly(t *testing.T) {
	lines := settingsOf(t, Config{}, packages.Version{Major: 3, Minor: 10, Patch: 8})
	for _, want := range []string{"listeners.tcp.local = 127.0.0.1:1001", "mqtt.listeners.tcp.local = 127.0.0.1:1002",
		"management.tcp.ip = 127.0.0.1", "management.tcp.port = 1003", "mqtt.allow_anonymous = false",
		"default_user = u", "default_pass = p"} {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %q in\n%s", want, strings.Join(lines, "\n"))
		}
	}
}

func TestSettingsKnowTheReleases(t *testing.T) {
	const anonymous = "anonymous_login_user = none" // unknown before 4.0, where it would keep the node from starting
	for version, want := range map[packages.Version]bool{
		{Major: 3, Minor: 10, Patch: 8}: false, {Major: 3, Minor: 13}: false, {Major: 4}: true, {Major: 4, Minor: 2}: true,
	} {
		if got := slices.Contains(settingsOf(t, Config{}, version), anonymous); got != want {
			t.Errorf("%v: %q is there: %v", version, anonymous, got)
		}
	}
}

func TestSettingsFollowThePlugins(t *testing.T) {
	config := Config{Plugins: []string{"rabbitmq_auth_backend_http"}, Settings: []string{"auth_backends.1 = http"}}
	lines := settingsOf(t, config, packages.Version{Major: 3, Minor: 10})
	for _, line := range lines {
		// A key of a plugin that is not enabled keeps the node from starting.
		if strings.HasPrefix(line, "mqtt.") || strings.HasPrefix(line, "management.") {
			t.Errorf("a line for a plugin that is off: %s", line)
		}
	}
	if lines[len(lines)-1] != "auth_backends.1 = http" {
		t.Errorf("the caller's own lines do not come last: %v", lines)
	}
}

func TestConfigComplete(t *testing.T) {
	for name, wrong := range map[string]Config{
		"no base":    {},
		"two words":  {Base: "/b", Name: "a b"},
		"a path":     {Base: "/b", Name: "../b"},
		"a far node": {Base: "/b", Node: "rabbit@elsewhere"},
		"no address": {Base: "/b", Host: Host{Name: "n0", Address: "here"}},
		"no name":    {Base: "/b", Host: Host{Address: "10.0.0.1"}},
		"impatient":  {Base: "/b", Silence: 1},
	} {
		if _, err := wrong.complete(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	config, err := Config{Base: "/b", Plugins: []string{}}.complete()
	if err != nil || config.Name != "rabbitmq" || len(config.Plugins) != 0 || config.Schedulers < 1 {
		t.Errorf("complete() = %+v, %v", config, err)
	}
}

func TestInvent(t *testing.T) {
	first, second := invent(Config{User: "u"}), invent(Config{User: "u"})
	if first.Password == second.Password || first.Cookie == second.Cookie || first.Node == second.Node {
		t.Errorf("two nodes share a secret or a name: %s, %s", first.Node, second.Node)
	}
	if joined := invent(Config{Node: "n@localhost", Cookie: "c"}); joined.Node != "n@localhost" || joined.Cookie != "c" {
		t.Errorf("a given name and cookie are not kept: %s", joined.Node)
	}
}

func TestEnvironmentIsPrivate(t *testing.T) {
	environment := environment(Config{Schedulers: 2, Host: loopback()}, memory{Node: "n@localhost", EpmdPort: 1004, DistPort: 1005},
		layoutOf("/w"), "/bin")
	for _, want := range []string{"HOME=/w/home", "ERL_EPMD_ADDRESS=127.0.0.1", "ERL_EPMD_PORT=1004",
		"RABBITMQ_DIST_PORT=1005", "RABBITMQ_CONF_ENV_FILE=/w/rabbitmq-env.conf", "RABBITMQ_NODENAME=n@localhost",
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1} +S 2:2"} {
		if !slices.Contains(environment, want) {
			t.Errorf("%q is not in the environment", want)
		}
	}
}

func TestANodeOnAHostOfItsOwn(t *testing.T) {
	here := Host{Name: "n1", Address: "198.18.0.2", Network: "/run/netns/x"}
	config, err := Config{Base: "/b", Schedulers: 2, Host: here, Hosts: []Host{here}, Silence: 8e9, Node: "a@n1"}.complete()
	if err != nil {
		t.Fatal(err)
	}
	got := environment(config, memory{Node: "a@n1"}, layoutOf("/w"), "/bin")
	for _, want := range []string{"ERL_INETRC=/w/inetrc", "RABBITMQ_NODE_IP_ADDRESS=198.18.0.2", "ERL_EPMD_ADDRESS=198.18.0.2",
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {198,18,0,2} +S 2:2 -kernel net_ticktime 8"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is not in the environment", want)
		}
	}
	const file = "{host, {127,0,0,1}, [\"localhost\"]}.\n{host, {198,18,0,2}, [\"n1\"]}.\n{lookup, [file, native]}.\n"
	if said := names(config.Hosts); said != file {
		t.Errorf("the file of hosts is\n%s", said)
	}
	if invented := invent(config); invented.Node != "a@n1" {
		t.Errorf("the node is called %s", invented.Node)
	}
}
