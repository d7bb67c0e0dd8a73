package path_test

import (
	"encoding/json"
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"testing"

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
	web, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := web.Addr().String()
	if err := web.Close(); err != nil {
		t.Fatal(err)
	}
	out, errs, code := n.cli(t, key, "verify", "--time", "5s", "--rate", "20", "--web", address, "--output", "json")
	var report struct {
		Commands, Executions int
		Outcomes             map[string]int
		Violations           []any
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 0 {
		t.Fatalf("verify ends with %d: %s%s", code, out, errs)
	}
	if report.Commands < 30 || report.Executions < 10 || report.Outcomes["device"] < 5 || report.Outcomes["device_offline"] < 3 || len(report.Violations) > 0 {
		t.Errorf("verify reports %s", out)
	}
	for d, err := range n.admin.Devices(t.Context()) {
		t.Errorf("device %s is left: %v", d.ID, err)
	}
	for d, err := range n.admin.DeviceTypes(t.Context()) {
		t.Errorf("device type %s is left: %v", d.Name, err)
	}
}
