package path_test

import (
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/cupline/cupline/local/services"
)

// TestDoctorIsContentWithARunningInstallation but for what the tests do without: waiting for the disk. It runs alone, after those that
// stop parts of the site and before those that run in parallel: some of these make lanes, whose queues are there a moment later.
func TestDoctorIsContentWithARunningInstallation(t *testing.T) {
	args := []string{"doctor", "--output", "json"}
	for _, name := range []string{"api", "dispatcher-0", "pusher-0"} {
		args = append(args, "--service", "http://"+site.Service(name).Internal)
	}
	command := exec.CommandContext(t.Context(), filepath.Join(site.Programs(), services.CLI), args...)
	command.Env = []string{
		"CUPLINE_API_URL=http://" + site.Service("api").Public, "CUPLINE_PUSH_URL=ws://" + site.Service("pusher-0").Public,
		"DATABASE_URL=" + site.Database.URL(), "AMQP_URL=" + site.Broker.URL(), "RABBITMQ_MANAGEMENT_URL=" + site.Broker.ManagementURL(),
	}
	printed, err := command.Output()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	var diagnosis struct {
		Findings []struct{ Check, State, Subject, Detail string }
	}
	if err := json.Unmarshal(printed, &diagnosis); err != nil || len(diagnosis.Findings) < 18 {
		t.Fatalf("doctor prints %s: %v", printed, err)
	}
	for _, f := range diagnosis.Findings {
		if f.State == "problem" && f.Check != "durability" || f.State == "unknown" {
			t.Errorf("doctor finds %+v", f)
		}
	}
}
