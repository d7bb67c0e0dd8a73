package app_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cupline/cupline/agent/internal/app"
)

func environment(pairs ...string) func(string) string {
	env := map[string]string{"CUPLINE_TENANT": "acme", "CUPLINE_DEVICE": "lamp-1"}
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return env[name] }
}

func TestFlagsWinOverTheEnvironment(t *testing.T) {
	t.Parallel()
	var help strings.Builder
	got, err := app.Load([]string{"--device", "lamp-2", "--concurrency=3"},
		environment("CUPLINE_MQTT_URL", "ssl://broker:8883", "CUPLINE_MQTT_PASSWORD", "secret", "CUPLINE_AGENT_CONCURRENCY", "9"), &help)
	if err != nil {
		t.Fatal(err)
	}
	if got.Device != "lamp-2" || got.Username != "acme/lamp-2" || got.URL != "ssl://broker:8883" || got.Concurrency != 3 ||
		got.Password != "secret" || got.TestMethods {
		t.Errorf("settings are %+v", got)
	}
	if _, err := app.Load([]string{"--help"}, environment(), &help); !errors.Is(err, app.ErrHelp) || !strings.Contains(help.String(), "CUPLINE_MQTT_URL") {
		t.Errorf("help says %q, %v", help.String(), err)
	}
}

func TestPasswordMayStandInAFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var help strings.Builder
	got, err := app.Load(nil, environment("CUPLINE_MQTT_PASSWORD_FILE", file), &help)
	if err != nil || got.Password != "secret" {
		t.Errorf("password is %q, %v", got.Password, err)
	}
}

func TestEveryProblemIsReported(t *testing.T) {
	t.Parallel()
	var help strings.Builder
	_, err := app.Load([]string{"--mqtt-url=http://x", "--grace=-1s", "what"}, environment(
		"CUPLINE_TENANT", "a.b", "CUPLINE_DEVICE", "", "CUPLINE_AGENT_CONCURRENCY", "many",
		"CUPLINE_MQTT_PASSWORD", "a", "CUPLINE_MQTT_PASSWORD_FILE", "/no/such/file"), &help)
	for _, word := range []string{"tenant", "device", "mqtt-url", "CONCURRENCY", "PASSWORD", "grace", "arguments"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not speak of %s", err, word)
		}
	}
}
