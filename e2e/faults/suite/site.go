package suite

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cupline/cupline/chassis/failpoint"
	"github.com/cupline/cupline/e2e/faults/clock"
	"github.com/cupline/cupline/e2e/faults/link"
	"github.com/cupline/cupline/e2e/faults/schedule"
	"github.com/cupline/cupline/e2e/platform"
	"github.com/cupline/cupline/local/netns"
	"github.com/cupline/cupline/local/rabbitmq"
	"github.com/cupline/cupline/local/services"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/verify/history"
)

const (
	tenants = 2
	// aside is a lane besides the default one, with a dispatcher of its own.
	aside     = "aside"
	asideName = "dispatcher-" + aside
	agentName = "host"
	// drain is how long a service may take to end in order.
	drain = "8s"
)

// part is a process of the site.
type part struct {
	name, program string
	env           map[string]string
	tenant        string // of an agent
}

// site is one installation with a breakable link between each process and what it needs.
type site struct {
	*platform.Platform
	parts []part
	spares
	links  map[string]*link.Link
	folder string
	things *link.Link
	// disk of the tables, and wal of the write-ahead log.
	disk, wal *disk
	// before is what a census found before there was any load.
	before map[string]int
	// outside are the names of links to clients and devices.
	outside map[string]bool
	holds
	nodes map[string]*rabbitmq.Instance // of the broker
	// network between them; nil on the loopback address.
	network *netns.Network
	passing time.Duration // is how long a point may take to be passed
	say     func(format string, values ...any)
	log     *history.Log
}

// wires that each process has.
const (
	wire       = " to "
	devices    = "devices"
	broker     = "broker"
	database   = "database"
	toDatabase = wire + database
)

// nodeName is what the broker's nodes are called here, the first one being 0.
func nodeName(i int) string {
	if i == 0 {
		return broker
	}
	return fmt.Sprintf("%s-%d", broker, i)
}

func tenantName(i int) string { return fmt.Sprintf("tenant%d", i) }

// raise starts broker, database and all processes. Lower it also after an error.
func raise(ctx context.Context, folder string, nodes int, log *history.Log, say func(string, ...any)) (*site, error) {
	s := &site{folder: folder, log: log, say: say, holds: holds{held: map[string]*sync.Mutex{}}, outside: map[string]bool{}, links: map[string]*link.Link{}, nodes: map[string]*rabbitmq.Instance{}}
	overlay, err := clock.Overlay(ctx, folder)
	if err != nil {
		return s, err
	}
	for i := range tenants {
		// Of a run before this one in the same folder.
		if err := os.RemoveAll(s.state(tenantName(i))); err != nil {
			return s, err
		}
	}
	hosts, err := s.openNetwork(ctx, nodes)
	if err != nil {
		return s, err
	}
	s.Platform, err = platform.StartWith(ctx, folder, platform.Extra{
		Nodes: nodes, Hosts: hosts, Database: []string{walSize}, Build: []string{"-tags", "failpoints", "-overlay", overlay},
	})
	if err != nil {
		return s, err
	}
	s.nodes[broker] = s.Broker
	for i, peer := range s.Peers {
		s.nodes[nodeName(i+1)] = peer
	}
	if err := errors.Join(s.mountDisks(ctx), s.applyAll(ctx, retryDeadLetters)); err != nil {
		return s, err
	}
	if _, err := s.CLI(ctx, "lanes", "put", aside); err != nil {
		return s, err
	}
	for _, p := range parts() {
		if err := s.wire(ctx, &p); err != nil {
			return s, err
		}
		s.parts = append(s.parts, p)
	}
	if s.things, err = s.open(ctx, devices, s.Broker.MQTTAddress()); err != nil {
		return s, err
	}
	for i := range tenants {
		s.parts = append(s.parts, s.agent(tenantName(i)))
	}
	for _, p := range s.parts {
		if _, err := s.Run(ctx, p.name, p.program, p.env); err != nil {
			return s, fmt.Errorf("start %s: %w", p.name, err)
		}
	}
	return s, s.prepareSpares(ctx)
}

// parts are the services; agents come with their tenants.
func parts() []part {
	return []part{
		{name: "api-0", program: services.API}, {name: "api-1", program: services.API},
		{name: "dispatcher-0", program: services.Dispatcher, env: map[string]string{"CUPLINE_ROLES": "work"}},
		{name: "dispatcher-1", program: services.Dispatcher, env: map[string]string{"CUPLINE_ROLES": "work"}},
		{name: asideName, program: services.Dispatcher, env: map[string]string{"CUPLINE_ROLES": "work", "CUPLINE_LANES": aside}},
		{name: "recorder-0", program: services.Dispatcher, env: map[string]string{"CUPLINE_ROLES": "record"}},
		{name: "recorder-1", program: services.Dispatcher, env: map[string]string{"CUPLINE_ROLES": "record"}},
		{name: "pusher-0", program: services.Pusher, env: map[string]string{"CUPLINE_SLOT": "pusher-0"}},
		{name: "pusher-1", program: services.Pusher, env: map[string]string{"CUPLINE_SLOT": "pusher-1"}},
	}
}

// wire puts links between a service and the broker and database.
func (s *site) wire(ctx context.Context, p *part) error {
	env := map[string]string{"CUPLINE_DRAIN": drain, "RABBITMQ_MANAGEMENT_URL": s.Broker.ManagementURL(), failpoint.Folder: s.armed(p.name)}
	for _, to := range s.needs(p.program) {
		address, err := url.Parse(to.address)
		if err != nil {
			return fmt.Errorf("wire %s: its address cannot be read", p.name)
		}
		l, err := s.open(ctx, p.name+to.wire, address.Host)
		if err != nil {
			return err
		}
		through, err := l.URL(to.address)
		if err != nil {
			return err
		}
		if before := env[to.variable]; before != "" {
			through = before + "," + through // the nodes of a cluster are tried in turn
		}
		env[to.variable] = through
	}
	switch p.program {
	case services.Dispatcher:
		env["CUPLINE_HTTP_ALLOWED_NETWORKS"] = "127.0.0.0/8" // the suite's devices
		env["CUPLINE_CONCURRENCY"] = "48"                    // so that queues can be full
	case services.Pusher:
		env["CUPLINE_RECONNECT_WINDOW"] = "3s" // so that what is left of it can be seen
		env["CUPLINE_SLOT_FREE"] = slotFree
	}
	for name, value := range p.env {
		env[name] = value
	}
	p.env = env
	return nil
}

// need is something that services connect to.
type need struct{ wire, variable, address string }

// needs of a program.
func (s *site) needs(program string) []need {
	all := []need{{toDatabase, "DATABASE_URL", s.DatabaseURL(program)}}
	// The last one first: queues are led by the node at which they are declared, and the
	// leader is to be killed too.
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(s.nodes))) {
		all = append(all, need{wire + name, "AMQP_URL", s.nodes[name].URL()})
	}
	return all
}

func (s *site) open(ctx context.Context, name, target string) (*link.Link, error) {
	l, err := link.Open(ctx, target)
	if err == nil {
		s.links[name] = l
	}
	return l, err
}

func (s *site) agent(tenant string) part {
	return part{name: "agent-" + tenant, program: services.Agent, tenant: tenant, env: map[string]string{
		"CUPLINE_MQTT_URL": "tcp://" + s.things.Address(), "CUPLINE_MQTT_USERNAME": s.Broker.User(),
		"CUPLINE_MQTT_PASSWORD": s.Broker.Password(), "CUPLINE_TENANT": tenant, "CUPLINE_DEVICE": agentName,
		"CUPLINE_AGENT_STATE": s.state(tenant), "CUPLINE_AGENT_TEST_METHODS": "true",
	}}
}

// state is the folder in which a tenant's agent notes what it executes.
func (s *site) state(tenant string) string { return filepath.Join(s.folder, "state-"+tenant) }

// targets is all that can be broken.
func (s *site) targets() []schedule.Target {
	var all []schedule.Target
	for _, p := range s.parts {
		all = append(all, schedule.Target{Name: p.name, Kind: p.kind()})
		all = append(all, p.points()...)
		for _, name := range slices.Sorted(maps.Keys(s.links)) {
			if to, isWire := strings.CutPrefix(name, p.name+wire); isWire {
				all = append(all, schedule.Target{Name: name, Class: schedule.Wire, Kind: p.kind() + wire + unnumbered(to)})
			}
		}
	}
	all = append(all, s.brokers()...)
	if s.disk != nil {
		all = append(all, schedule.Target{Name: inDatabase + "'s disk", Of: database, Class: schedule.Disk})
	}
	if s.wal != nil {
		all = append(all, schedule.Target{Name: database + "'s log", Of: database, Class: schedule.Log})
	}
	all = append(all, s.outsideTargets()...)
	for i := range tenants {
		all = append(all, schedule.Target{Name: devices + of + tenantName(i), Class: schedule.Tenant, Kind: devices + " of a tenant"})
	}
	return append(all, schedule.Target{Name: devices, Class: schedule.Outside, Kind: "all devices over MQTT"},
		schedule.Target{Name: fleet, Class: schedule.Fleet},
		schedule.Target{Name: laneOf + topology.DefaultLane().Name, Class: schedule.Lane}, schedule.Target{Name: laneOf + aside, Class: schedule.Lane},
		schedule.Target{Name: inDatabase, Of: database, Class: schedule.Database},
		schedule.Target{Name: inBroker, Of: s.wholeBroker(), Class: schedule.Broker},
		schedule.Target{Name: database, Class: schedule.Server})
}

// lower ends everything and deletes the data.
func (s *site) lower(ctx context.Context) error {
	var errs []error
	for _, d := range []*disk{s.disk, s.wal} {
		if d != nil {
			errs = append(errs, s.Database.Kill(), d.unmount())
		}
	}
	if s.Platform != nil {
		errs = append(errs, s.Stop(ctx))
	}
	if s.network != nil {
		errs = append(errs, s.network.Close(ctx))
	}
	for _, l := range s.links {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}
