package up

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cupline/cupline/local/packages"
	"github.com/cupline/cupline/local/ports"
	"github.com/cupline/cupline/local/postgres"
	"github.com/cupline/cupline/local/rabbitmq"
	"github.com/cupline/cupline/local/services"
	"github.com/cupline/cupline/migrations"
	"github.com/cupline/cupline/schema/topology"
)

// External addresses, by names that sourcing cupline.env does not set.
const (
	externalAMQP     = "CUPLINE_EXTERNAL_AMQP_URL"
	externalMQTT     = "CUPLINE_EXTERNAL_MQTT_URL"
	externalDatabase = "CUPLINE_EXTERNAL_DATABASE_URL"
)

// Stops are bounded: each service's own drain, and the broker's and the database's end.
const (
	serviceGrace = 20 * time.Second
	stopLimit    = 2 * time.Minute
)

// stage is everything that one run starts.
type stage struct {
	root, folder string
	progress     *progress

	broker   *rabbitmq.Instance // nil when external
	database *postgres.Instance // nil when external
	set      services.Set
	// ports are each service's, reserved from before anybody is told of them until all has ended.
	ports   map[string]*ports.Reservation
	running []running // in the order of their start

	access access
	logins migrations.Services
}

// running is a service with its name.
type running struct {
	name string
	*services.Service
}

func newStage(root, folder string, progress *progress) *stage {
	return &stage{root: root, folder: folder, progress: progress}
}

// start brings everything up. After an error stop ends what there is.
func (s *stage) start(ctx context.Context) error {
	s.set = services.Set{Programs: filepath.Join(s.folder, "bin"), Folder: s.folder}
	if err := s.ensurePackages(ctx); err != nil {
		return err
	}
	// Orphans hold ports that are to be used again.
	if err := s.clearOrphans(ctx); err != nil {
		return err
	}
	if err := s.reservePorts(); err != nil {
		return err
	}
	if err := together(ctx, s.build, s.startBroker, s.startDatabase); err != nil {
		return err
	}
	if err := s.migrate(ctx); err != nil {
		return err
	}
	if err := together(ctx, s.prepareDemo, s.prepareBroker); err != nil {
		return err
	}
	if err := s.startServices(ctx); err != nil {
		return err
	}
	shown, err := s.shown()
	if err != nil {
		return err
	}
	return shown.write(filepath.Join(s.folder, "cupline.env"))
}

// shown is the access that cupline.env gives to its reader: on the broker that of `cupline topology`, no administrator's.
func (s *stage) shown() (access, error) {
	shown := s.access
	if s.set.Accounts == nil {
		return shown, nil
	}
	var amqp, management error
	shown.AMQP, amqp = s.set.Accounts.URL(s.access.AMQP, topology.RoleTopology)
	shown.Management, management = s.set.Accounts.URL(s.access.Management, topology.RoleTopology)
	return shown, errors.Join(amqp, management)
}

// together runs all of them at once, and returns when all have. The first error ends the
// others, and is the one that is returned: what they say then is only that they were ended.
func together(ctx context.Context, steps ...func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, len(steps))
	var all sync.WaitGroup
	for _, step := range steps {
		all.Go(func() {
			if err := step(ctx); err != nil {
				failed <- err
				cancel()
			}
		})
	}
	all.Wait()
	close(failed)
	return <-failed
}

func (s *stage) ensurePackages(ctx context.Context) error {
	var needs []packages.Need
	if os.Getenv(externalAMQP) == "" {
		needs = append(needs, packages.Broker())
	}
	if os.Getenv(externalDatabase) == "" {
		needs = append(needs, packages.Database())
	}
	return packages.Ensure(ctx, s.progress, needs...)
}

func (s *stage) build(ctx context.Context) error {
	s.progress.line("building Cupline's programs")
	if err := services.Build(ctx, s.root, s.set.Programs); err != nil {
		return err
	}
	s.progress.line("programs built into %s", s.set.Programs)
	return nil
}

func (s *stage) startBroker(ctx context.Context) (err error) {
	if url := os.Getenv(externalAMQP); url != "" {
		s.access.AMQP, s.access.MQTT = url, os.Getenv(externalMQTT)
		s.progress.line("using the broker of %s", externalAMQP)
		return nil
	}
	s.progress.line("starting RabbitMQ")
	logins := "http://" + ports.Address(s.ports[services.API].Ports[1]) + "/broker"
	s.broker, err = rabbitmq.Start(ctx, rabbitmq.Config{Base: s.folder, DeviceLogins: logins, Progress: s.progress})
	if err != nil {
		return err
	}
	s.access.AMQP, s.access.Management = s.broker.URL(), s.broker.ManagementURL()
	_, s.access.MQTTPort, err = net.SplitHostPort(s.broker.MQTTAddress())
	return err
}

func (s *stage) startDatabase(ctx context.Context) (err error) {
	if url := os.Getenv(externalDatabase); url != "" {
		s.access.Database = url
		s.progress.line("using the database of %s", externalDatabase)
		return nil
	}
	s.progress.line("starting Postgres")
	s.database, err = postgres.Start(ctx, postgres.Config{Base: s.folder, Progress: s.progress})
	if err != nil {
		return err
	}
	s.access.Database = s.database.URL()
	return nil
}

func (s *stage) migrate(ctx context.Context) error {
	applied, err := migrations.Up(ctx, s.access.Database)
	if err != nil {
		return err
	}
	for _, name := range applied {
		s.progress.line("migrated: %s", name)
	}
	return s.admitServices(ctx)
}

// admitServices gives each service a user of its own. A database that is not ours has no users made in it.
func (s *stage) admitServices(ctx context.Context) (err error) {
	if s.database == nil {
		s.logins = migrations.Services{API: s.access.Database, Dispatcher: s.access.Database, Pusher: s.access.Database, Janitor: s.access.Database}
		s.progress.line("all services log in to %s as its own user", externalDatabase)
		return nil
	}
	s.logins, err = migrations.AdmitServices(ctx, s.access.Database)
	return err
}

// prepareBroker makes the broker's queues, and a user for each service.
func (s *stage) prepareBroker(ctx context.Context) error {
	if s.broker == nil {
		return nil
	}
	err := s.set.Prepare(ctx, map[string]string{
		"AMQP_URL": s.access.AMQP, "RABBITMQ_MANAGEMENT_URL": s.access.Management, "DATABASE_URL": s.access.Database,
	})
	if err == nil {
		s.progress.line("the broker has its queues, and a user for each service")
	}
	return err
}

// stop ends everything in reverse, and returns what could not be ended.
func (s *stage) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	errs := []error{s.stopServices(ctx)}
	if s.broker != nil {
		errs = append(errs, s.broker.Stop(ctx))
	}
	if s.database != nil {
		errs = append(errs, s.database.Stop(ctx))
	}
	for _, reserved := range s.ports {
		errs = append(errs, reserved.Release())
	}
	err := errors.Join(errs...)
	if err == nil {
		s.progress.line("stopped")
	}
	return err
}

// forget ends what a killed run left behind and deletes everything in the folder that up has made.
func forget(ctx context.Context, folder string) error {
	if _, err := os.Stat(folder); errors.Is(err, os.ErrNotExist) {
		fmt.Println("there is nothing to forget")
		return nil
	}
	lock, err := claim(folder)
	if err != nil {
		return err
	}
	s := newStage("", folder, nil)
	s.set = services.Set{Folder: folder}
	err = errors.Join(
		s.clearOrphans(ctx),
		rabbitmq.Discard(ctx, rabbitmq.Config{Base: folder}),
		postgres.Discard(ctx, postgres.Config{Base: folder}),
	)
	for _, name := range []string{"bin", "log", "pid", "agent", "cupline.env", portsFile} {
		err = errors.Join(err, os.RemoveAll(filepath.Join(folder, name)))
	}
	return errors.Join(err, lock.Release())
}
