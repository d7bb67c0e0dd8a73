package path_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cupline/cupline/local/ports"
	"github.com/cupline/cupline/local/services"
)

// cli runs the cupline command as a user of the key does, and returns what it prints and its exit code.
func (n tenant) cli(t *testing.T, key string, args ...string) (out, errs string, code int) {
	t.Helper()
	command := exec.CommandContext(t.Context(), filepath.Join(site.Programs(), services.CLI), args...)
	command.Env = []string{
		"CUPLINE_API_URL=http://" + site.Service("api").Public, "CUPLINE_PUSH_URL=ws://" + site.Service("pusher-0").Public, "CUPLINE_KEY=" + key,
	}
	printed, err := command.Output()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	if ended != nil {
		errs = string(ended.Stderr)
	}
	return string(printed), errs, command.ProcessState.ExitCode()
}

// TestVerifyRunsAgainstARunningInstallation: a load through all of it, nothing broken, nothing left.
func TestVerifyRunsAgainstARunningInstallation(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	key := n.makeKey(t, "verify", "ops:read")
	reserved, err := ports.Reserve(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reserved.Release() })
	address := ports.Address(reserved.Ports[0])
	out, errs, code := n.cli(t, key, "verify", "--time", "5s", "--rate", "20", "--web", address, "--output", "json")
	report := verified(t, out, errs, code)
	if report.Commands < 30 || report.Executions < 10 || report.Outcomes["device"] < 5 || report.Outcomes["device_offline"] < 3 {
		t.Errorf("verify reports %s", out)
	}
	n.nothingIsLeft(t)
}

// TestVerifyPlaysDevicesThatSpeakMQTT, with a user of the broker who may be any device.
func TestVerifyPlaysDevicesThatSpeakMQTT(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	key := n.makeKey(t, "verify", "ops:read")
	listener := url.URL{Scheme: "tcp", User: url.UserPassword(site.Broker.User(), site.Broker.Password()), Host: site.Broker.MQTTAddress()}
	out, errs, code := n.cli(t, key, "verify", "--time", "5s", "--rate", "20", "--mqtt", listener.String(), "--tenant", n.name, "--output", "json")
	report := verified(t, out, errs, code)
	if report.Commands < 30 || report.Executions < 10 || report.Outcomes["device"] < 5 {
		t.Errorf("verify reports %s", out)
	}
	n.nothingIsLeft(t)
	if _, errs, code = n.cli(t, key, "verify", "--mqtt", listener.String()); code == 0 || !strings.Contains(errs, "tenant") {
		t.Errorf("without a tenant it ends with %d: %s", code, errs)
	}
}

// report of cupline verify.
type report struct {
	Commands, Executions int
	Outcomes             map[string]int
	Violations           []any
}

func verified(t *testing.T, out, errs string, code int) (r report) {
	t.Helper()
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 || len(r.Violations) > 0 {
		t.Fatalf("verify ends with %d: %s%s", code, out, errs)
	}
	return r
}

func (n tenant) nothingIsLeft(t *testing.T) {
	t.Helper()
	for d, err := range n.admin.Devices(t.Context()) {
		t.Errorf("device %s is left: %v", d.ID, err)
	}
	for d, err := range n.admin.DeviceTypes(t.Context()) {
		t.Errorf("device type %s is left: %v", d.Name, err)
	}
}
