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
	environment := environment(Config{Schedulers: 2}, memory{Node: "n@localhost", EpmdPort: 1004, DistPort: 1005},
		layoutOf("/w"), "/bin")
	for _, want := range []string{"HOME=/w/home", "ERL_EPMD_ADDRESS=127.0.0.1", "ERL_EPMD_PORT=1004",
		"RABBITMQ_DIST_PORT=1005", "RABBITMQ_CONF_ENV_FILE=/w/rabbitmq-env.conf", "RABBITMQ_NODENAME=n@localhost",
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1} +S 2:2"} {
		if !slices.Contains(environment, want) {
			t.Errorf("%q is not in the environment", want)
		}
	}
}
