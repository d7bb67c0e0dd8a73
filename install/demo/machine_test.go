package demo_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cupline/cupline/local/packages"
	"github.com/cupline/cupline/local/ports"
	"github.com/cupline/cupline/local/postgres"
	"github.com/cupline/cupline/local/rabbitmq"
)

const (
	checkout = "../.."
	// patience is far more than anything takes, since the machine may be busy.
	patience = 5 * time.Minute
)

// programs is the folder of the image's programs.
var programs string

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // all of it needs processes
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "cupline-image-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(folder) }()
	programs = folder
	ctx := context.Background()
	err = packages.Ensure(ctx, os.Stderr, packages.Broker(), packages.Database())
	if err == nil {
		err = build(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// build makes the programs as the Dockerfile does.
func build(ctx context.Context) error {
	content, err := os.ReadFile(filepath.Join(checkout, "Dockerfile"))
	if err != nil {
		return err
	}
	builds := regexp.MustCompile(`(?m)^RUN go (.* -o) /out/(\S+) (\S+)$`).FindAllStringSubmatch(string(content), -1)
	if len(builds) < 5 {
		return fmt.Errorf("the Dockerfile builds %v", builds)
	}
	for _, b := range builds {
		command := exec.CommandContext(ctx, "go", append(strings.Fields(b[1]), filepath.Join(programs, b[2]), b[3])...)
		command.Dir, command.Env = checkout, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-buildvcs=false")
		if said, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", b[2], err, said)
		}
	}
	return nil
}

// machine has a broker and a database, and runs containers' programs beside them: names of hosts and folders are replaced by
// what they are here.
type machine struct {
	folder string
	broker *rabbitmq.Instance
	names  []string          // for strings.NewReplacer
	public map[string]string // addresses by service
}

// server is what a container of broker or database would be told.
type server struct{ host, user, password string }

// newMachine starts both. Settings are lines of rabbitmq.conf; asked is the host:port where the broker asks about devices.
func newMachine(t *testing.T, broker, database server, plugins, settings []string, asked string) *machine {
	t.Helper()
	// Readable by the accounts of broker and database, which a test's own folder is not.
	folder, err := os.MkdirTemp("", "cupline-demo-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	m := &machine{folder: folder, public: map[string]string{}}
	api := reserve(t, 1)[0]
	m.public["api internal"] = api
	for i := range settings {
		settings[i] = strings.ReplaceAll(settings[i], asked, api)
	}
	starting, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	brokers := rabbitmq.Config{Base: folder, User: broker.user, Password: broker.password, Plugins: plugins, Settings: settings}
	if m.broker, err = rabbitmq.Start(starting, brokers); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		end(t, m.broker.Kill, func(ctx context.Context) error { return rabbitmq.Discard(ctx, brokers) })
	})
	databases := postgres.Config{Base: folder} // synchronous: doctor looks at that, too
	base, err := postgres.Start(starting, databases)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(t, base.Kill, func(ctx context.Context) error { return postgres.Discard(ctx, databases) }) })
	owner, err := url.Parse(base.URL())
	if err != nil {
		t.Fatal(err)
	}
	amqp, err := url.Parse(m.broker.URL())
	if err != nil {
		t.Fatal(err)
	}
	management, err := url.Parse(m.broker.ManagementURL())
	if err != nil {
		t.Fatal(err)
	}
	m.names = []string{
		database.user + ":" + database.password + "@" + database.host + ":5432", owner.User.String() + "@" + owner.Host,
		database.host + ":5432", owner.Host, broker.host + ":5672", amqp.Host, broker.host + ":15672", management.Host,
		broker.host + ":1883", m.broker.MQTTAddress(), "/var/lib/cupline", filepath.Join(folder, "state"),
	}
	return m
}

// reserve chooses addresses that nobody else gets before the test ends: brokers and databases of other tests start meanwhile.
func reserve(t *testing.T, count int) (addresses []string) {
	t.Helper()
	reserved, err := ports.Reserve(make([]int, count)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := reserved.Release(); err != nil {
			t.Error(err)
		}
	})
	for _, port := range reserved.Ports {
		addresses = append(addresses, ports.Address(port))
	}
	return addresses
}

func end(t *testing.T, kill func() error, discard func(context.Context) error) {
	t.Helper()
	ending, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := kill(); err != nil {
		t.Error(err)
	}
	if err := discard(ending); err != nil {
		t.Error(err)
	}
}

// program is one container: its command, and its variables.
type program struct {
	name    string
	command []string
	env     map[string]string
}

func (m *machine) command(ctx context.Context, p program) *exec.Cmd {
	here := strings.NewReplacer(m.names...)
	var words []string
	for _, word := range p.command[1:] {
		words = append(words, here.Replace(word))
	}
	command := exec.CommandContext(ctx, filepath.Join(programs, filepath.Base(p.command[0])), words...)
	command.Env = []string{"HOME=" + m.folder, "PATH=/nowhere"}
	for name, value := range p.env {
		command.Env = append(command.Env, name+"="+here.Replace(value))
	}
	return command
}

// once runs a program that ends, and returns what it prints.
func (m *machine) once(t *testing.T, p program) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var printed, said bytes.Buffer
	command := m.command(ctx, p)
	command.Stdout, command.Stderr = &printed, &said
	if err := command.Run(); err != nil {
		t.Fatalf("%s, %v: %v\n%s", p.name, p.command, err, said.String())
	}
	return strings.TrimSpace(printed.String())
}

// start runs a service until the test ends, on ports of this machine, and waits until it is ready.
func (m *machine) start(t *testing.T, p program) {
	t.Helper()
	addresses := reserve(t, 2)
	public, internal := addresses[0], addresses[1]
	if p.name == "api" {
		internal = m.public["api internal"]
	}
	if p.env["CUPLINE_LISTEN"] != "" {
		p.env["CUPLINE_LISTEN"] = public
	}
	p.env["CUPLINE_INTERNAL_ADDR"] = internal
	m.public[p.name], m.public[p.name+" internal"] = public, internal
	running, cancel := context.WithCancel(context.Background())
	command := m.command(running, p)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = patience
	log, err := os.Create(filepath.Join(m.folder, p.name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = command.Wait() // it was told to end
		_ = log.Close()
		if content, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
			t.Logf("--- %s\n%s", p.name, content[max(0, len(content)-4000):])
		}
	})
	eventually(t, p.name+" is ready", func() bool { return m.ready(p.name) })
}

// ready tells whether a service that was started says so.
func (m *machine) ready(name string) bool {
	answer, err := http.Get("http://" + m.public[name+" internal"] + "/readyz")
	if err != nil {
		return false
	}
	_ = answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// eventually asks until it is so; each question waits a little longer.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for pause := 50 * time.Millisecond; !so(); pause = min(2*pause, time.Second) {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-time.After(pause):
		}
	}
}

// words are the plugins that a file enabled_plugins names.
func words(text string) []string { return regexp.MustCompile(`rabbitmq_\w+`).FindAllString(text, -1) }

// settings are the lines of a rabbitmq.conf that say something.
func settings(text string) (lines []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}
