package secrets_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/e2e/platform"
	"github.com/cupline/cupline/schema/device"
)

// Names that stand in no word of the platform's own.
const (
	repeated = "off-1" // a command's id that is used twice
	tenant   = "demo-tenant"
	customer = "customer-7"
	lamp     = "lamp-in-hall"
	cellar   = "lamp-in-cellar" // not there
)

// fail has commands and log-ins fail in as many ways as can be had at once: failures are what is logged.
func fail(t *testing.T, site *platform.Platform, secrets map[string]string) {
	t.Helper()
	client, err := cupline.New(cupline.Config{URL: "http://" + site.Service("api").Public, Key: secrets["the key"]})
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdle()
	unreachable := device.Type{Name: "unreachable", Lane: "default", Driver: "http", Methods: map[string]device.Method{"on": {}}}
	if _, err := client.PutDeviceType(bounded(t), unreachable); err != nil {
		t.Fatal(err)
	}
	_, err = client.PutDevice(bounded(t), device.Device{ID: cellar, Type: "linux"})
	if err == nil { // loopback is no device: it is refused when it is dialled
		_, err = client.PutDevice(bounded(t), device.Device{ID: cellar + "-http", Type: "unreachable", Address: json.RawMessage(`{"url":"http://127.0.0.1:9/"}`)})
	}
	if err != nil {
		t.Fatal(err)
	}
	var sent []string
	for _, c := range []struct{ device, method, id string }{
		{cellar, "host.load", repeated}, {cellar + "-http", "on", "off-2"}, {lamp, "host.none", "none-1"}, {lamp, "host.load", repeated},
	} {
		accepted, err := client.Send(bounded(t), c.device, c.method, nil, cupline.SendOptions{ID: c.id})
		var refused *cupline.Problem
		switch {
		case err == nil && c.id == repeated: // it has no outcome of its own
		case err == nil:
			sent = append(sent, accepted.CommandID)
		case !errors.As(err, &refused):
			t.Fatalf("command %s: %v", c.id, err)
		}
	}
	for _, id := range sent {
		for ctx := bounded(t); ; {
			status, err := client.Command(ctx, id)
			if err == nil && status.Response != nil {
				break
			}
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
				t.Fatalf("no outcome of %s: %+v, %v", id, status, err)
			}
		}
	}
	if err := client.DeleteDevice(bounded(t), cellar); err != nil {
		t.Fatal(err)
	}
}

// attributed holds every line of the services' logs that names a client, a device or a command to naming the tenant, too: as a
// field, or where the line is no object, in its text.
func attributed(t *testing.T, logs []string) {
	t.Helper()
	concerned := 0
	for _, file := range logs {
		if strings.HasPrefix(filepath.Base(file), "agent") {
			continue // it has one tenant, which it names when it starts
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(bytes.NewReader(content))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			line := lines.Text()
			var fields map[string]any
			_ = json.Unmarshal([]byte(line), &fields) // what is no object has no fields
			if !concerns(line, fields) {
				continue
			}
			concerned++
			if fields["tenant"] != tenant {
				t.Errorf("%s does not say whose this is: %s", filepath.Base(file), line)
			}
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
	}
	if concerned < 10 {
		t.Errorf("the test's own premise: %d lines concern a tenant", concerned)
	}
}

// concerns tells whether a line is about something of the tenant's.
func concerns(line string, fields map[string]any) bool {
	for _, name := range []string{"client", "device", "id", "command_id", "device_type"} {
		if text := fmt.Sprint(fields[name]); fields[name] != nil && text != "" && text != "00000000-0000-0000-0000-000000000000" {
			return true
		}
	}
	return strings.Contains(line, customer) || strings.Contains(line, lamp) || strings.Contains(line, cellar)
}

// labels of metrics name no client and no device, which are without number, and no other tenant than there are.
func labels(t *testing.T, address string) {
	t.Helper()
	request, err := http.NewRequestWithContext(bounded(t), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		line := lines.Text()
		if strings.Contains(line, customer) || strings.Contains(line, lamp) || strings.Contains(line, cellar) || strings.Contains(line, "off-1") {
			t.Errorf("a client's, device's or command's name in a label: %s", line)
		}
		if _, rest, found := strings.Cut(line, `tenant="`); found && !strings.HasPrefix(rest, tenant+`"`) && !strings.HasPrefix(rest, `system"`) {
			t.Errorf("an unknown tenant: %s", line)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}
