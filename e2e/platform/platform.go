// Package platform runs all of Cupline as real processes, on a broker and a database of
// its own, for tests that look at it from outside.
package platform

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/cupline/cupline/local/ports"
	"github.com/cupline/cupline/local/postgres"
	"github.com/cupline/cupline/local/process"
	"github.com/cupline/cupline/local/rabbitmq"
	"github.com/cupline/cupline/local/services"
)

// grace is how long a process may take to end in order.
const grace = 20 * time.Second

// Platform is one whole installation below one folder.
type Platform struct {
	// Broker is the first node, Peers the others of its cluster.
	Broker   *rabbitmq.Instance
	Peers    []*rabbitmq.Instance
	Database *postgres.Instance

	set    services.Set
	epmd   *rabbitmq.Epmd    // of the nodes of a cluster; one node alone has its own
	logins map[string]string // database URLs by program
	// deviceLogins is where the broker asks about devices: the internal port of the service named "api".
	deviceLogins string
	extra        Extra

	mu      sync.Mutex // guards the rest
	running map[string]*services.Service
	ports   map[string]*ports.Reservation // the public and the internal port, by name
}

// Start brings up broker, database and programs, and migrates; services are the caller's
// to Run. Stop it also after an error.
func Start(ctx context.Context, folder string) (*Platform, error) {
	return StartCluster(ctx, folder, 1)
}

// StartCluster is Start with a broker of that many nodes, and with programs that are built with
// further arguments for `go build`.
func StartCluster(ctx context.Context, folder string, nodes int, build ...string) (*Platform, error) {
	return StartWith(ctx, folder, Extra{Nodes: nodes, Build: build})
}

// Extra is what differs from a plain platform.
type Extra struct {
	// Nodes of the broker; one when zero.
	Nodes int
	// Hosts of the nodes, as many; the loopback address for all of them when nil.
	Hosts []rabbitmq.Host
	// Build are further arguments for `go build`.
	Build []string
	// Broker and Database are further lines of rabbitmq.conf and postgresql.conf, "key = value" each.
	Broker, Database []string
}

// StartWith is Start with what differs.
func StartWith(ctx context.Context, folder string, extra Extra) (*Platform, error) {
	nodes, build := max(extra.Nodes, 1), extra.Build
	p := &Platform{
		extra:   extra,
		set:     services.Set{Programs: filepath.Join(folder, "bin"), Folder: folder},
		running: map[string]*services.Service{}, ports: map[string]*ports.Reservation{},
	}
	root, err := services.Root()
	if err != nil {
		return p, err
	}
	api, err := p.reserve(services.API)
	if err != nil {
		return p, err
	}
	p.deviceLogins = "http://" + ports.Address(api.Ports[1]) + "/broker"
	var all sync.WaitGroup
	var broker, database, built error
	all.Go(func() { broker = p.startBroker(ctx, nodes) })
	all.Go(func() {
		p.Database, database = postgres.Start(ctx, postgres.Config{Base: folder, NoSync: true, Settings: extra.Database})
	})
	all.Go(func() {
		// Other builds, such as those with failpoints, are the platform's own.
		if len(build) > 0 {
			built = services.Build(ctx, root, p.set.Programs, build...)
		} else {
			p.set.Programs, built = services.BuildShared(ctx, root)
		}
	})
	all.Wait()
	if err := errors.Join(broker, database, built); err != nil {
		return p, err
	}
	p.set.Env = map[string]string{"AMQP_URL": p.Broker.URL(), "DATABASE_URL": p.Database.URL()}
	if _, err = p.CLI(ctx, "migrate", "up"); err != nil {
		return p, err
	}
	if err := p.admit(ctx); err != nil {
		return p, err
	}
	env := maps.Clone(p.set.Env)
	env["RABBITMQ_MANAGEMENT_URL"] = p.Broker.ManagementURL()
	return p, p.set.Prepare(ctx, env)
}

// janitor is the dispatchers' other user of the database.
const janitor = "janitor"

// admit makes each program's own user of the database.
func (p *Platform) admit(ctx context.Context) error {
	owner, err := url.Parse(p.Database.URL())
	if err != nil {
		return fmt.Errorf("read the database's address: %w", err)
	}
	p.logins = map[string]string{}
	for _, program := range []string{services.API, services.Dispatcher, services.Pusher, janitor} {
		own := *owner
		own.User = url.UserPassword(program, rand.Text())
		p.logins[program] = own.String()
	}
	_, err = p.cli(ctx, map[string]string{
		"CUPLINE_DATABASE_URL_API":        p.logins[services.API],
		"CUPLINE_DATABASE_URL_DISPATCHER": p.logins[services.Dispatcher], "CUPLINE_DATABASE_URL_RECORDER": p.logins[services.Dispatcher],
		"CUPLINE_DATABASE_URL_PUSHER": p.logins[services.Pusher], "CUPLINE_DATABASE_URL_JANITOR": p.logins[janitor],
	}, "migrate", "logins")
	return err
}

// DatabaseURL is what a program logs in to the database with.
func (p *Platform) DatabaseURL(program string) string { return p.logins[program] }

// BrokerPasswords are those of the services' own users on the broker, by the variables that set them.
func (p *Platform) BrokerPasswords() map[string]string { return p.set.Accounts.Environment() }

// Stop ends everything and deletes the data.
func (p *Platform) Stop(ctx context.Context) error {
	var errs []error
	p.mu.Lock()
	for _, service := range p.running {
		errs = append(errs, service.Kill())
	}
	p.mu.Unlock()
	for _, node := range p.nodes() {
		errs = append(errs, node.Kill())
	}
	if p.Database != nil {
		errs = append(errs, p.Database.Kill())
	}
	for i := range max(len(p.nodes()), 1) {
		errs = append(errs, rabbitmq.Discard(ctx, p.node(i)))
	}
	if p.epmd != nil {
		errs = append(errs, p.epmd.Discard(ctx))
	}
	errs = append(errs, postgres.Discard(ctx, postgres.Config{Base: p.set.Folder}))
	for _, reservation := range p.ports {
		errs = append(errs, reservation.Release())
	}
	return errors.Join(errs...)
}

// Run starts a service under a name and waits until it is ready. A name that ran before
// gets the same ports again.
func (p *Platform) Run(ctx context.Context, name, program string, env map[string]string) (*services.Service, error) {
	service, err := p.Launch(name, program, env)
	if err != nil {
		return nil, err
	}
	return service, service.WaitReady(ctx)
}

// RunFrom is Run with a program of another folder, say of another release.
func (p *Platform) RunFrom(ctx context.Context, programs, name, program string, env map[string]string) (*services.Service, error) {
	service, err := p.launch(programs, name, program, env)
	if err != nil {
		return nil, err
	}
	return service, service.WaitReady(ctx)
}

// Launch is Run without the wait.
func (p *Platform) Launch(name, program string, env map[string]string) (*services.Service, error) {
	return p.launch("", name, program, env)
}

func (p *Platform) launch(programs, name, program string, env map[string]string) (*services.Service, error) {
	reserved, err := p.reserve(name)
	if err != nil {
		return nil, err
	}
	own := map[string]string{}
	if login := p.logins[program]; login != "" {
		own["DATABASE_URL"] = login
	}
	if program == services.Dispatcher {
		own["CUPLINE_JANITOR_DATABASE_URL"] = p.logins[janitor]
		own["CUPLINE_DEVICES_MANAGEMENT_URL"] = p.Broker.ManagementURL()
	}
	maps.Copy(own, env)
	service, err := p.set.Start(services.Spec{Name: name, Program: program, Programs: programs, Env: own, Ports: reserved})
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running[name] = service
	return service, nil
}

// Pause stops a service's process in its tracks (SIGSTOP), until Resume.
func (p *Platform) Pause(name string) error { return p.signal(name, syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (p *Platform) Resume(name string) error { return p.signal(name, syscall.SIGCONT) }

func (p *Platform) signal(name string, signal syscall.Signal) error {
	if err := syscall.Kill(p.Service(name).PID(), signal); err != nil {
		return fmt.Errorf("send %s to %s: %w", signal, name, err)
	}
	return nil
}

// Service that was last run under the name.
func (p *Platform) Service(name string) *services.Service {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running[name]
}

// Kill ends a service at once, as a crash would; it is gone when Kill returns.
func (p *Platform) Kill(name string) error { return p.Service(name).Kill() }

// End stops a service in order.
func (p *Platform) End(ctx context.Context, name string) error {
	return p.Service(name).Stop(ctx, syscall.SIGTERM, grace)
}

// CLI runs the cupline command with the platform's addresses and returns what it prints.
func (p *Platform) CLI(ctx context.Context, args ...string) ([]byte, error) {
	return p.cli(ctx, nil, args...)
}

// cli is CLI with further variables.
func (p *Platform) cli(ctx context.Context, more map[string]string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, filepath.Join(p.set.Programs, services.CLI), args...)
	env := map[string]string{"PATH": os.Getenv("PATH"), "HOME": p.set.Folder, "RABBITMQ_MANAGEMENT_URL": p.Broker.ManagementURL()}
	maps.Copy(env, p.set.Env)
	maps.Copy(env, more)
	for name, value := range env {
		command.Env = append(command.Env, name+"="+value)
	}
	printed, err := command.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return printed, fmt.Errorf("cupline %v: %w", args, err)
	}
	return printed, nil
}

// Folder is where everything lies.
func (p *Platform) Folder() string { return p.set.Folder }

// Programs is the folder of the built programs.
func (p *Platform) Programs() string { return p.set.Programs }

// Report prints the end of every service's log and of the broker's, for a run that failed.
func (p *Platform) Report(to io.Writer) {
	logs, err := filepath.Glob(filepath.Join(p.set.Folder, "log", "*.log"))
	if err != nil {
		return
	}
	for _, node := range p.nodes() {
		logs = append(logs, node.LogFile())
	}
	for _, log := range logs {
		fmt.Fprintf(to, "--- %s\n%s\n", filepath.Base(log), process.Tail(log))
	}
}
