package path_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/e2e/online"
	"github.com/cupline/cupline/local/services"
	"github.com/cupline/cupline/schema/device"
)

// patience is how long anything may take that is not itself under test: far more than it
// does, since the machine may be busy.
const patience = 60 * time.Second

// tenant is one test's own: its client, its device type, its agent.
type tenant struct {
	name  string
	key   string
	admin *cupline.Client
}

// newTenant makes a tenant with a key that may do everything.
func newTenant(t *testing.T) tenant {
	t.Helper()
	n := tenant{name: "t" + strings.ToLower(rand.Text()[:10])}
	n.key = n.makeKey(t, "client")
	n.admin = n.client(t, n.key, "pusher-0")
	return n
}

// makeKey makes a key for a client of the tenant, at the database as an operator would.
func (n tenant) makeKey(t *testing.T, client string, scopes ...string) string {
	t.Helper()
	printed, err := site.CLI(t.Context(), "keys", "create", "--database", "--tenant", n.name, "--client", client,
		"--scope", strings.Join(append(scopes, "commands:send,replies:read,devices:read,devices:write"), ","), "--output", "json")
	if err != nil {
		t.Fatal(err)
	}
	var made struct{ Token string }
	if err := json.Unmarshal(printed, &made); err != nil || made.Token == "" {
		t.Fatalf("keys create printed %s: %v", printed, err)
	}
	return made.Token
}

func (n tenant) client(t *testing.T, key, pusher string) *cupline.Client {
	t.Helper()
	client, err := cupline.New(cupline.Config{
		URL:     "http://" + site.Service("api").Public,
		PushURL: "ws://" + site.Service(pusher).Public,
		Key:     key,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdle)
	return client
}

// listen connects a client, and returns when it is online.
func listen(t *testing.T, client *cupline.Client, handle func(context.Context, cupline.Outcome) error) *cupline.Listener {
	t.Helper()
	return online.Listen(t, client, patience, handle)
}

// bounded is a context that a test waits within.
func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// inbox is a handler that keeps what it gets.
type inbox struct {
	mu       sync.Mutex
	got      map[string][]cupline.Outcome // by command id
	arrivals chan cupline.Outcome
}

func newInbox() *inbox {
	return &inbox{got: map[string][]cupline.Outcome{}, arrivals: make(chan cupline.Outcome, 10_000)}
}

func (i *inbox) handle(_ context.Context, o cupline.Outcome) error {
	i.mu.Lock()
	i.got[o.CommandID] = append(i.got[o.CommandID], o)
	i.mu.Unlock()
	i.arrivals <- o
	return nil
}

// next is the next outcome that arrives.
func (i *inbox) next(t *testing.T) cupline.Outcome {
	t.Helper()
	select {
	case o := <-i.arrivals:
		return o
	case <-bounded(t).Done():
		t.Fatal("no outcome arrived")
		return cupline.Outcome{}
	}
}

// await waits for the outcome of one command, whatever else arrives.
func (i *inbox) await(t *testing.T, commandID string) cupline.Outcome {
	t.Helper()
	for {
		i.mu.Lock()
		got := i.got[commandID]
		i.mu.Unlock()
		if len(got) > 0 {
			return got[0]
		}
		i.next(t)
	}
}

// count of the outcomes that arrived for one command.
func (i *inbox) count(commandID string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.got[commandID])
}

// linux is the type of the agent's devices; timeout is that of methods that may have no answer.
func linux(timeout time.Duration) device.Type {
	once := device.Method{Timeout: device.Duration(timeout)}
	// What answers is given time: the machine may be busy.
	answers := device.Method{Timeout: device.Duration(patience)}
	idempotent := device.Method{Idempotent: true, Timeout: answers.Timeout}
	return device.Type{Name: "linux", Lane: "default", Driver: "mqtt", Methods: map[string]device.Method{
		"host.load": idempotent, "echo": idempotent, "relay.get": idempotent, "sleep": idempotent,
		"relay.set": {
			Timeout: answers.Timeout,
			Params:  json.RawMessage(`{"type":"object","required":["on"],"properties":{"on":{"type":"boolean"}}}`),
		},
		"test.late": once, "test.never": once, "test.garbage": once, "test.other_id": once,
		"test.twice": answers, "test.huge": answers, "test.lines": answers, "test.error": answers,
	}}
}

// starting is how long a broker or a database may take to start again, which a busy machine needs more than a minute for.
func starting(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// harmless is the same type with a policy that lets every method run again.
func harmless(timeout time.Duration) device.Type {
	kind := linux(timeout)
	kind.Name = "harmless"
	for name, method := range kind.Methods {
		method.Idempotent = true
		kind.Methods[name] = method
	}
	return kind
}

// agent is a real agent that plays one device.
type agent struct {
	device, state, password string
	tenant                  tenant
}

// newAgent registers a device of the type and starts an agent for it.
func (n tenant) newAgent(t *testing.T, kind device.Type, name string) agent {
	t.Helper()
	ctx := bounded(t)
	if _, err := n.admin.PutDeviceType(ctx, kind); err != nil {
		t.Fatal(err)
	}
	if _, err := n.admin.PutDevice(ctx, device.Device{ID: name, Type: kind.Name}); err != nil {
		t.Fatal(err)
	}
	login, err := n.admin.CreateDeviceCredential(ctx, name, cupline.NewDeviceCredential{})
	if err != nil {
		t.Fatal(err)
	}
	a := agent{device: name, password: login.Password, tenant: n, state: filepath.Join(site.Folder(), "agent-"+n.name+"-"+name)}
	a.start(t)
	t.Cleanup(func() {
		if err := site.Kill(a.process()); err != nil {
			t.Errorf("end the agent: %v", err)
		}
	})
	return a
}

func (a agent) process() string { return "agent-" + a.tenant.name + "-" + a.device }

func (a agent) start(t *testing.T) {
	t.Helper()
	_, err := site.Run(bounded(t), a.process(), services.Agent, map[string]string{
		"CUPLINE_MQTT_URL":      "tcp://" + site.Broker.MQTTAddress(),
		"CUPLINE_MQTT_PASSWORD": a.password,
		"CUPLINE_TENANT":        a.tenant.name,
		"CUPLINE_DEVICE":        a.device,
		"CUPLINE_AGENT_STATE":   a.state, "CUPLINE_AGENT_TEST_METHODS": "true",
	})
	if err != nil {
		t.Fatal(err)
	}
}

// executions counts what the device really executed, by command id.
func (a agent) executions(t *testing.T) map[string]int {
	t.Helper()
	counts := map[string]int{}
	file, err := os.Open(filepath.Join(a.state, "executions.log"))
	if os.IsNotExist(err) {
		return counts
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var e struct {
			CommandID string `json:"command_id"`
		}
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.CommandID != "" {
			counts[e.CommandID]++
		}
	}
	return counts
}

// awaitExecution returns once the device has begun to execute a command.
func (a agent) awaitExecution(t *testing.T, commandID string) {
	t.Helper()
	eventually(t, "the device executes "+commandID, func() bool { return a.executions(t)[commandID] > 0 })
}

// eventually polls where nothing gives a signal: files and databases of other processes.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx := bounded(t)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for !holds() {
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}
