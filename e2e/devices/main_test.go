// Package devices_test holds devices to their own topics, from outside: the broker's MQTT listener asks api, real
// services send commands, and Mosquitto's tools are the devices, well-behaved or not.
package devices_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/e2e/platform"
	"github.com/cupline/cupline/local/services"
	"github.com/cupline/cupline/schema/device"
)

// patience is how long anything may take that is not itself under test.
const patience = 60 * time.Second

var site *platform.Platform

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // all of it needs processes
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	return platform.Around(m, platform.StartLimit, func(ctx context.Context, p *platform.Platform) error {
		site = p
		for _, program := range []string{services.API, services.Dispatcher} {
			if _, err := site.Run(ctx, program, program, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// tenant is one test's own, with the devices lamp-1 and lamp-2.
type tenant struct {
	name  string
	admin *cupline.Client
}

func newTenant(t *testing.T) tenant {
	t.Helper()
	n := tenant{name: "t" + strings.ToLower(rand.Text()[:10])}
	printed, err := site.CLI(t.Context(), "keys", "create", "--database", "--tenant", n.name, "--client", "client",
		"--scope", "commands:send,replies:read,devices:read,devices:write,ops:read,tenants:admin", "--output", "json")
	if err != nil {
		t.Fatal(err)
	}
	var made struct{ Token string }
	if err := json.Unmarshal(printed, &made); err != nil {
		t.Fatal(err)
	}
	if n.admin, err = cupline.New(cupline.Config{URL: "http://" + site.Service("api").Public, Key: made.Token}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.admin.CloseIdle)
	// It runs from the command's start, and several log-ins of the tools may lie between that and the answer: far longer than they
	// take on a busy machine. An answer that is lost shows sooner, by the patience with its outcome.
	kind := device.Type{Name: "lamp", Lane: "default", Driver: "mqtt", Methods: map[string]device.Method{
		"on": {Timeout: device.Duration(5 * patience)},
	}}
	if _, err := n.admin.PutDeviceType(bounded(t), kind); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"lamp-1", "lamp-2"} {
		if _, err := n.admin.PutDevice(bounded(t), device.Device{ID: id, Type: "lamp"}); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// login is a device's way in.
type login struct{ user, password, client string }

func (n tenant) login(t *testing.T, id string) login {
	t.Helper()
	made, err := n.admin.CreateDeviceCredential(bounded(t), id, cupline.NewDeviceCredential{})
	if err != nil {
		t.Fatal(err)
	}
	return login{made.Username, made.Password, made.Username}
}

// arguments of Mosquitto's tools.
func (l login) arguments(more ...string) []string {
	host, port, _ := net.SplitHostPort(site.Broker.MQTTAddress())
	all := []string{"-h", host, "-p", port, "-V", "mqttv311", "-i", l.client, "-u", l.user}
	if l.password != "" {
		all = append(all, "-P", l.password)
	}
	return append(all, more...)
}

// publish runs mosquitto_pub once, and returns what it says when it fails: it was refused.
func (l login) publish(t *testing.T, topic, payload string, more ...string) error {
	t.Helper()
	// At QoS 1, so that it waits for the broker's answer.
	said, err := exec.CommandContext(bounded(t), "mosquitto_pub", l.arguments(append(more, "-q", "1", "-t", topic, "-m", payload)...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, said)
	}
	return nil
}

// subscribe runs mosquitto_sub until it is subscribed, or the error that it was refused with. It prints a line for each
// message: topic, a space, payload.
func (l login) subscribe(t *testing.T, topic string, more ...string) (*bufio.Scanner, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	command := exec.CommandContext(ctx, "stdbuf", append([]string{"-oL", "mosquitto_sub"}, l.arguments(append(more, "-d", "-v", "-t", topic)...)...)...)
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = command.Stdout
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_, _ = io.Copy(io.Discard, output)
		_ = command.Wait() // it was killed
	})
	lines := bufio.NewScanner(output)
	var said []string
	for lines.Scan() {
		said = append(said, lines.Text())
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "Subscribed ("):
			return lines, nil
		// A refused subscription ends the connection; the tool would try again for ever.
		case strings.Contains(line, "Connection Refused"), strings.Contains(line, "Connection error"),
			len(said) > 1 && strings.Contains(line, "sending CONNECT"):
			return nil, fmt.Errorf("refused: %s", strings.Join(said, "; "))
		}
	}
	return nil, fmt.Errorf("ended: %s", strings.Join(said, "; "))
}

// die subscribes, and is killed.
func (l login) die(t *testing.T, topic string, more ...string) {
	t.Helper()
	command := exec.CommandContext(bounded(t), "stdbuf", append([]string{"-oL", "mosquitto_sub"}, l.arguments(append(more, "-d", "-t", topic)...)...)...)
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	subscribed := false
	for lines := bufio.NewScanner(output); !subscribed && lines.Scan(); {
		subscribed = strings.HasPrefix(lines.Text(), "Subscribed (")
	}
	if err := command.Process.Kill(); err != nil || !subscribed {
		t.Fatalf("subscribed %t, %v", subscribed, err)
	}
	_ = command.Wait() // it was killed
}

// next is the next message's topic and payload.
func next(t *testing.T, lines *bufio.Scanner) (topic, payload string) {
	t.Helper()
	for lines.Scan() {
		if topic, payload, found := strings.Cut(lines.Text(), " "); found && strings.HasPrefix(topic, "devices/") {
			return topic, payload
		}
	}
	t.Fatalf("no message came: %v", lines.Err())
	return "", ""
}

// send posts a command, and returns its command id.
func (n tenant) send(t *testing.T, id, method string) string {
	t.Helper()
	accepted, err := n.admin.Send(bounded(t), id, method, nil, cupline.SendOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return accepted.CommandID
}

// outcome polls what became of a command.
func (n tenant) outcome(t *testing.T, commandID string) string {
	t.Helper()
	for ctx := bounded(t); ; {
		status, err := n.admin.Command(ctx, commandID)
		if err == nil && status.Response != nil {
			return string(status.Response)
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("no outcome: %+v, %v", status, err)
		}
	}
}

// questions counts what the broker has asked api, by question.
func questions(t *testing.T) map[string]int {
	t.Helper()
	answer, err := http.Get("http://" + site.Service("api").Internal + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, found := range regexp.MustCompile(`cupline_device_questions_total\{answer="\w+",question="(\w+)"\} (\d+)`).FindAllStringSubmatch(string(text), -1) {
		n, _ := strconv.Atoi(found[2])
		counts[found[1]] += n
	}
	return counts
}
