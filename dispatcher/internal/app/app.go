package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/lifecycle"
	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/chassis/telemetry"
	"github.com/cupline/cupline/chassis/tracing"
	"github.com/cupline/cupline/dispatcher/internal/feed"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/changes"
	"github.com/cupline/cupline/store/ledger"
	"github.com/cupline/cupline/store/registry"
)

// teardown is what stopping may take besides the drain.
const teardown = 15 * time.Second

// App is one dispatcher process.
type App struct {
	cfg      Settings
	log      *zap.Logger
	registry *telemetry.Registry
	group    *lifecycle.Group
	server   *telemetry.Server
	// certificates shows when those that are loaded end.
	certificates *telemetry.Certificates
	tracer       *tracing.Tracer // nil while tracing is off

	ledgerPool *postgres.Pool
	pool       *postgres.Pool
	clock      *postgres.Clock
	cache      *registry.Cache
	writer     *ledger.Writer

	publishing *broker.Link // outcomes, letters, requests to MQTT devices
	consuming  *broker.Link // commands, dead letters, devices' answers
	publisher  *broker.Publisher
	sender     *feed.Sender
	ways       *ways
	feeds      *feed.Metrics
	stops      []func(context.Context) error // of the feeds
	gates      []*gate                       // of the lanes; whole before anything is started
}

// New puts a process together; nothing is connected before Run.
func New(ctx context.Context, cfg Settings, log *zap.Logger, level zap.AtomicLevel) (*App, error) {
	a := &App{cfg: cfg, log: log, registry: telemetry.NewRegistry(), group: lifecycle.New(log, cfg.Drain+teardown)}
	a.server = telemetry.NewServer(telemetry.ServerConfig{
		Addr: cfg.InternalAddr, Profiles: cfg.Profiles, Registry: a.registry, Level: level, Log: log, Failed: a.group.Fail,
	})
	var err error
	if a.certificates, err = telemetry.NewCertificates(a.registry); err != nil {
		return nil, fmt.Errorf("register the certificates' metrics: %w", err)
	}
	if a.tracer, err = tracing.New(ctx, cfg.Trace, "dispatcher", a.registry, log); err != nil {
		return nil, err
	}
	a.group.Add("internal port", a.server.Start, a.server.Stop)
	a.group.Add("traces", nil, a.tracer.Stop)
	// Each part registers its teardown behind those that it needs.
	for _, build := range []func(context.Context) error{a.database, a.broker, a.record, a.work, a.clean} {
		if err := build(ctx); err != nil {
			a.close()
			return nil, err
		}
	}
	a.group.Add("link that consumes", a.consuming.Start, a.consuming.Stop)
	a.group.Add("feeds", nil, a.drain)
	a.group.Add("readiness", nil, func(context.Context) error {
		a.server.SetDraining()
		return nil
	})
	return a, nil
}

// Run serves until ctx ends, and then stops in order: not ready, nothing taken any more,
// what has started finished, the rest handed back, links, database, telemetry.
func (a *App) Run(ctx context.Context) error { return a.group.Run(ctx) }

// Reference lists the metrics of this process.
func (a *App) Reference() ([]telemetry.Metric, error) { return a.registry.Reference() }

// Addr is host:port of the internal port, once Run has started it; empty before.
func (a *App) Addr() string { return a.server.Addr() }

// close gives up what a process that cannot be put together has opened.
func (a *App) close() {
	for _, pool := range []*postgres.Pool{a.pool, a.ledgerPool} {
		if pool != nil {
			pool.Close()
		}
	}
}

// database opens what is kept in Postgres. The ledger has a pool of its own, so that
// nothing else keeps a claim waiting for a connection.
func (a *App) database(ctx context.Context) error {
	open := func(name string, conns int32) (*postgres.Pool, error) {
		pool, err := postgres.Open(ctx, postgres.Config{
			URL: a.cfg.DatabaseURL.Reveal(), MaxConns: conns, ApplicationName: name,
		})
		if err != nil {
			return nil, fmt.Errorf("open the database: %w", err)
		}
		a.group.Add("pool "+name, nil, func(context.Context) error {
			pool.Close()
			return nil
		})
		return pool, nil
	}
	var err error
	if a.pool, err = open("cupline-dispatcher", a.cfg.DatabaseConnections); err != nil {
		return err
	}
	if a.ledgerPool, err = open("cupline-dispatcher-ledger", int32(a.cfg.LedgerConnections)); err != nil {
		return err
	}
	if err := postgres.NewMetrics(a.registry, map[string]*postgres.Pool{"shared": a.pool, "ledger": a.ledgerPool}); err != nil {
		return fmt.Errorf("register the pools' metrics: %w", err)
	}
	a.clock = postgres.NewClock(a.pool, a.log)
	a.cache = registry.NewCache(registry.New(a.pool), registry.CacheConfig{OnLanes: a.lanesChanged})
	listener := postgres.NewListener(a.pool, changes.Listener(a.log, a.cache))
	a.writer, err = ledger.NewWriter(a.ledgerPool, ledger.Config{Connections: a.cfg.LedgerConnections}, ledger.NewMetrics(a.registry))
	if err != nil {
		return fmt.Errorf("make the ledger: %w", err)
	}
	a.group.Add("database clock", a.clock.Start, a.clock.Stop)
	a.group.Add("listener", listener.Start, listener.Stop)
	a.group.Add("ledger", a.writer.Start, a.writer.Stop)
	a.server.Check("postgres", a.pool.Ready)
	a.server.Check("registry", listener.Ready)
	return nil
}

// broker makes the two links: an alarm blocks those who publish, and must not stop the acks.
func (a *App) broker(context.Context) error {
	metrics, err := broker.NewMetrics(a.registry)
	if err != nil {
		return err
	}
	trust, err := a.cfg.Broker.Client(a.log)
	if err != nil {
		return err
	}
	link := func(name string) *broker.Link {
		return broker.NewLink(broker.Config{URL: a.cfg.AMQPURL.Reveal(), Name: name, TLS: trust.Config, Log: a.log, Metrics: metrics})
	}
	a.publishing, a.consuming = link("dispatcher-publish"), link("dispatcher-consume")
	var registered, fed error
	a.ways, registered = newWays(a.log, a.registry)
	a.feeds, fed = feed.NewMetrics(a.registry)
	if err := errors.Join(registered, fed); err != nil {
		return err
	}
	// Who settles dead letters declares where they wait.
	dead := topology.Borrow(topology.Dead())
	if a.cfg.has(RoleRecord) {
		dead = topology.Dead()
	}
	back := topology.Merge(dead, topology.Outcomes())
	if a.cfg.has(RoleWork) {
		back = topology.Merge(back, topology.Borrow(topology.Parked()))
	}
	a.ways.declare(a.publishing, "publish", func(context.Context) (topology.Topology, error) { return back, nil })
	a.publisher = broker.NewPublisher(a.publishing, broker.PublisherConfig{Name: "publish outcomes and letters"})
	a.sender = feed.NewSender(a.publishing, a.publisher, back, a.log, a.feeds)
	a.consuming.OnUp("know the database's clock", func(ctx context.Context, _ *broker.Session) error {
		return measured(ctx, a.clock)
	})
	a.ways.declare(a.consuming, "consume", func(ctx context.Context) (topology.Topology, error) {
		if !a.cfg.has(RoleWork) {
			return dead, nil
		}
		ways, err := lanes(ctx, a.cache, a.cfg.Lanes)
		return topology.Merge(ways, dead), err
	})
	a.group.Add("link that publishes", a.publishing.Start, a.publishing.Stop)
	a.server.Check("broker (publish)", func(context.Context) error { return a.publishing.Ready() })
	a.server.Check("broker (consume)", func(context.Context) error { return a.consuming.Ready() })
	return nil
}
