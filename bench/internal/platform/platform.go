// Package platform runs what is measured: a private broker and a durable private database, and the platform's own
// services as processes, in a folder that is fresh at the start and gone at the end.
package platform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/cupline/cupline/bench/internal/load"
	"github.com/cupline/cupline/bench/internal/measure"
	"github.com/cupline/cupline/bench/internal/usage"
	pool "github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/local/packages"
	"github.com/cupline/cupline/local/place"
	"github.com/cupline/cupline/local/postgres"
	"github.com/cupline/cupline/local/process"
	"github.com/cupline/cupline/local/rabbitmq"
	"github.com/cupline/cupline/local/services"
	"github.com/cupline/cupline/migrations"
)

const (
	// readyLimit bounds the services' start.
	readyLimit = 2 * time.Minute
	// serviceGrace is how long a service may take to stop by itself.
	serviceGrace = 40 * time.Second
	// stopLimit bounds stopping everything.
	stopLimit = 3 * time.Minute
)

// Config of a platform.
type Config struct {
	// Root is the checkout, Folder where everything is kept meanwhile.
	Root, Folder string
	// BrokerOnly leaves out the database and the services.
	BrokerOnly bool
	// Clients and Devices are how many of them there are; as many devices of each type.
	Clients, Devices int
	// DeviceServer is the address of those that answer over HTTP.
	DeviceServer string
	// Tools are further programs to build, packages of the checkout such as ./bench/cmd/crowd.
	Tools []string
	// Settings are further ones of the services, NAME to value.
	Settings map[string]string
	// Broker and Database are further lines of rabbitmq.conf and postgresql.conf, "key = value" each.
	Broker, Database []string
	// Build are further arguments of `go build`.
	Build []string
	// Progress gets a line for each step that takes time.
	Progress io.Writer
}

// Platform is a running one.
type Platform struct {
	cfg      Config
	lock     *place.Lock
	broker   *rabbitmq.Instance
	database *postgres.Instance
	logins   map[string]string // the services' database URLs by program
	accounts *services.Accounts
	members  []*Member
	pool     *pool.Pool // as the tables' owner
	crowd    []string   // tokens of the clients that only listen

	// API is host:port of the intake.
	API     string
	Clients []*load.Client
}

// Start builds and runs a platform with its clients and devices. The error says what stands in the way, and wraps
// place.ErrLocked while another bench runs in the folder; nothing is left running then.
func Start(ctx context.Context, cfg Config) (*Platform, error) {
	p := &Platform{cfg: cfg}
	if err := p.claim(); err != nil {
		return nil, err
	}
	steps := []func(context.Context) error{p.clear, p.build, p.startInstances, p.migrate, p.prepare, p.open, p.register, p.startServices}
	if cfg.BrokerOnly {
		steps = []func(context.Context) error{p.clear, p.prepareTools, p.startBroker}
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, p.Stop(context.WithoutCancel(ctx)))
		}
	}
	return p, nil
}

// claim keeps other benches out of the folder: what this one is about to end in it may be theirs.
func (p *Platform) claim() (err error) {
	if err := os.MkdirAll(p.cfg.Folder, 0o755); err != nil {
		return fmt.Errorf("make the folder of the bench: %w", err)
	}
	p.lock, err = place.Take(p.cfg.Folder)
	return err
}

// clear ends and deletes what an earlier run that was killed has left.
func (p *Platform) clear(ctx context.Context) error {
	if err := packages.Ensure(ctx, p.cfg.Progress, packages.Broker(), packages.Database()); err != nil {
		return err
	}
	if err := p.endEarlier(ctx); err != nil {
		return err
	}
	return p.discard(ctx)
}

func (p *Platform) build(ctx context.Context) error {
	p.say("building the services")
	if err := services.Build(ctx, p.cfg.Root, p.set().Programs, p.cfg.Build...); err != nil {
		return err
	}
	return p.tools(ctx)
}

// tools builds what the load itself runs as programs of their own.
func (p *Platform) tools(ctx context.Context) error {
	if len(p.cfg.Tools) == 0 {
		return nil
	}
	build := exec.CommandContext(ctx, "go", append([]string{"build", "-buildvcs=false", "-o", p.set().Programs + string(filepath.Separator)}, p.cfg.Tools...)...)
	build.Dir = p.cfg.Root
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs of the load: %w\n%s", err, said)
	}
	return nil
}

// prepareTools builds them where no service is.
func (p *Platform) prepareTools(ctx context.Context) error {
	if err := os.MkdirAll(p.set().Programs, 0o755); err != nil {
		return fmt.Errorf("make the folder for the programs: %w", err)
	}
	return p.tools(ctx)
}

// Program is the path of one that was built.
func (p *Platform) Program(name string) string { return filepath.Join(p.set().Programs, name) }

func (p *Platform) startInstances(ctx context.Context) error {
	var started sync.WaitGroup
	var brokerErr, databaseErr error
	started.Go(func() { brokerErr = p.startBroker(ctx) })
	started.Go(func() { p.database, databaseErr = postgres.Start(ctx, p.databaseConfig()) })
	started.Wait()
	return errors.Join(brokerErr, databaseErr)
}

func (p *Platform) startBroker(ctx context.Context) (err error) {
	p.broker, err = rabbitmq.Start(ctx, p.brokerConfig())
	return err
}

func (p *Platform) migrate(ctx context.Context) error {
	if _, err := migrations.Up(ctx, p.database.URL()); err != nil {
		return fmt.Errorf("make the tables: %w", err)
	}
	logins, err := migrations.AdmitServices(ctx, p.database.URL())
	if err != nil {
		return fmt.Errorf("make the services' users: %w", err)
	}
	p.logins = map[string]string{services.API: logins.API, services.Dispatcher: logins.Dispatcher, services.Pusher: logins.Pusher, "janitor": logins.Janitor}
	return nil
}

func serviceNames() []string { return []string{services.API, services.Dispatcher, services.Pusher} }

func (p *Platform) set() services.Set {
	return services.Set{Programs: filepath.Join(p.cfg.Folder, "bin"), Folder: p.cfg.Folder, Accounts: p.accounts}
}

// addresses are what the services need to find broker and database.
func (p *Platform) addresses() map[string]string {
	return map[string]string{
		"AMQP_URL": p.broker.URL(), "DATABASE_URL": p.database.URL(), "RABBITMQ_MANAGEMENT_URL": p.broker.ManagementURL(),
	}
}

// prepare makes the broker's queues, and a user for each service.
func (p *Platform) prepare(ctx context.Context) error {
	set := p.set()
	err := set.Prepare(ctx, p.addresses())
	p.accounts = set.Accounts
	return err
}

// BrokerURL is the broker's AMQP address.
func (p *Platform) BrokerURL() string { return p.broker.URL() }

// DatabaseURL is that of the tables' owner.
func (p *Platform) DatabaseURL() string { return p.database.URL() }

// MQTTAddress is host:port of the broker's MQTT listener.
func (p *Platform) MQTTAddress() string { return p.broker.MQTTAddress() }

// Accounts are the trees of processes that make up the platform: the broker, the database, the services.
func (p *Platform) Accounts() ([]measure.Account, error) {
	type instance struct{ name, pidFile string }
	instances := []instance{{"broker", filepath.Join(p.cfg.Folder, "rabbitmq", "rabbitmq.pid")}}
	if p.database != nil {
		instances = append(instances, instance{"database", filepath.Join(p.cfg.Folder, "postgres", "postgres.pid")})
	}
	var accounts []measure.Account
	for _, instance := range instances {
		found, err := process.Find(instance.pidFile)
		if err != nil {
			return nil, err
		}
		if found == nil {
			return nil, fmt.Errorf("the %s does not run any more", instance.name)
		}
		accounts = append(accounts, account(instance.name, found.PID()))
	}
	for _, m := range p.members {
		accounts = append(accounts, account(m.Program, m.PID()))
	}
	return accounts, nil
}

func account(name string, pid int) measure.Account {
	return measure.Account{Tree: usage.Tree{Name: name, PID: pid}, Role: measure.Platform}
}

// Stop ends everything and deletes its data. The services' logs stay until the next run.
func (p *Platform) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	err := p.endAll(ctx)
	if p.pool != nil {
		p.pool.Close()
	}
	// What is to be deleted need not be brought in order first.
	if p.broker != nil {
		err = errors.Join(err, p.broker.Kill())
	}
	if p.database != nil {
		err = errors.Join(err, p.database.Kill())
	}
	return errors.Join(err, p.discard(ctx), p.lock.Release())
}

func (p *Platform) discard(ctx context.Context) error {
	return errors.Join(rabbitmq.Discard(ctx, p.brokerConfig()), postgres.Discard(ctx, p.databaseConfig()))
}

func (p *Platform) brokerConfig() rabbitmq.Config {
	return rabbitmq.Config{Base: p.cfg.Folder, Settings: p.cfg.Broker, Progress: p.cfg.Progress}
}

// databaseConfig is one that syncs: what a commit costs is part of what is measured.
func (p *Platform) databaseConfig() postgres.Config {
	return postgres.Config{Base: p.cfg.Folder, Settings: p.cfg.Database, Progress: p.cfg.Progress}
}

func (p *Platform) say(line string) { fmt.Fprintln(p.cfg.Progress, line) }
