package app

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/api/internal/httpapi"
	"github.com/cupline/cupline/api/internal/intake"
	"github.com/cupline/cupline/api/internal/ops"
	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/certs"
	"github.com/cupline/cupline/chassis/doorway"
	"github.com/cupline/cupline/chassis/lifecycle"
	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/chassis/telemetry"
	"github.com/cupline/cupline/chassis/tracing"
	"github.com/cupline/cupline/console"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/changes"
	"github.com/cupline/cupline/store/credential"
	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/drain"
	"github.com/cupline/cupline/store/erasure"
	"github.com/cupline/cupline/store/identity"
	"github.com/cupline/cupline/store/ledger"
	"github.com/cupline/cupline/store/mailbox"
	"github.com/cupline/cupline/store/registry"
	"github.com/cupline/cupline/store/retention"
)

// teardown is what stopping may take besides the drain.
const teardown = 10 * time.Second

// lookLimit bounds each look into the database that a post may have to wait for, four at most: key,
// device, type, lanes. What is in memory is waited for only by those who find out that a
// database hangs; the others are served from memory.
const lookLimit = time.Second

// applicationName is what Postgres and the broker see.
const applicationName = "cupline-api"

// App is one api process.
type App struct {
	cfg      Settings
	log      *zap.Logger
	metrics  *telemetry.Registry
	group    *lifecycle.Group
	internal *telemetry.Server
	// certificates shows when those that are loaded end.
	certificates *telemetry.Certificates
	tracer       *tracing.Tracer // nil while tracing is off
	public       *httpapi.Server
	console      *console.Handler

	pool        *postgres.Pool
	clock       *postgres.Clock
	registry    *registry.Store
	cache       *registry.Cache
	keys        *identity.Store
	credentials *credential.Store
	verifier    *identity.Verifier
	arrivals    *mailbox.Arrivals
	quota       *mailbox.Quota
	link        *broker.Link
	lanes       *lanes
	publisher   *broker.Publisher
	intake      *intake.Intake
	letters     *deadletter.Store
	drains      *drain.Store
	desk        *ops.Desk
	queues      *ops.Queues
	clients     *ops.Clients
}

// New puts a process together; nothing is connected before Run.
func New(ctx context.Context, cfg Settings, log *zap.Logger, level zap.AtomicLevel) (*App, error) {
	a := &App{cfg: cfg, log: log, metrics: telemetry.NewRegistry(), group: lifecycle.New(log, cfg.Drain+teardown)}
	a.internal = telemetry.NewServer(telemetry.ServerConfig{
		Addr: cfg.InternalAddr, Profiles: cfg.Profiles, Registry: a.metrics, Level: level, Log: log, Failed: a.group.Fail,
	})
	var err error
	if a.certificates, err = telemetry.NewCertificates(a.metrics); err != nil {
		return nil, fmt.Errorf("register the certificates' metrics: %w", err)
	}
	if a.tracer, err = tracing.New(ctx, cfg.Trace, "api", a.metrics, log); err != nil {
		return nil, err
	}
	a.group.Add("internal port", a.internal.Start, a.internal.Stop)
	a.group.Add("traces", nil, a.tracer.Stop)
	// Each part registers its teardown behind those that it needs.
	for _, build := range []func(context.Context) error{a.database, a.broker, a.devices, a.serve} {
		if err := build(ctx); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// Run serves until ctx ends, and then stops in order: not ready, no further requests, those
// under way finished, the link, the database, telemetry.
func (a *App) Run(ctx context.Context) error { return a.group.Run(ctx) }

// Reference lists the metrics of this process.
func (a *App) Reference() ([]telemetry.Metric, error) { return a.metrics.Reference() }

// Addr is host:port of the API once Run has started it; empty before.
func (a *App) Addr() string { return a.public.Addr() }

// InternalAddr is host:port of the internal port once Run has started it; empty before.
func (a *App) InternalAddr() string { return a.internal.Addr() }

func (a *App) database(ctx context.Context) error {
	pool, err := postgres.Open(ctx, postgres.Config{
		URL: a.cfg.DatabaseURL.Reveal(), MaxConns: a.cfg.DatabaseConnections, ApplicationName: applicationName,
		RowScope: store.TenantSetting,
	})
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	a.pool = pool
	if err := postgres.NewMetrics(a.metrics, map[string]*postgres.Pool{"shared": pool}); err != nil {
		return fmt.Errorf("register the pool's metrics: %w", err)
	}
	a.clock = postgres.NewClock(pool, a.log)
	a.registry = registry.New(pool)
	look := cmp.Or(a.cfg.Look, lookLimit)
	a.cache = registry.NewCache(a.registry, registry.CacheConfig{LoadTimeout: look, OnLanes: func() { a.lanes.changed() }})
	a.keys = identity.New(pool)
	verifier := identity.VerifierConfig{LoadTimeout: look, Warm: string(auth.OpsPlatform), Now: a.clock.Now, Claims: a.cfg.Tokens.Claims, Log: a.log}
	if a.cfg.Tokens.JWKS != "" {
		tokens, err := a.cfg.Tokens.Verifier(a.clock.Now, a.log)
		if err != nil {
			return fmt.Errorf("take tokens: %w", err)
		}
		a.group.Add("issuer's keys", tokens.Start, tokens.Stop)
		verifier.Tokens = tokens
	}
	a.verifier = identity.NewVerifier(a.keys, verifier)
	a.arrivals = mailbox.NewArrivals()
	a.quota = mailbox.NewQuota(pool, a.log)
	listener := postgres.NewListener(pool, changes.Listener(a.log, a.cache, a.verifier, a.arrivals, a.quota))
	a.group.Add("pool", nil, func(context.Context) error {
		pool.Close()
		return nil
	})
	a.group.Add("database clock", a.clock.Start, a.clock.Stop)
	a.group.Add("keys", a.verifier.Start, func(ctx context.Context) error {
		if err := a.verifier.Stop(ctx); err != nil {
			// When keys were last used is a help for people: nothing is lost that a stop should fail for.
			a.log.Warn("last uses of keys not noted", zap.Error(err))
		}
		return nil
	})
	a.group.Add("listener", listener.Start, listener.Stop)
	a.internal.Check("postgres", pool.Ready)
	a.internal.Check("notifications", listener.Ready)
	return nil
}

func (a *App) broker(context.Context) error {
	metrics, err := broker.NewMetrics(a.metrics)
	if err != nil {
		return err
	}
	trust, err := a.cfg.Broker.Client(a.log)
	if err != nil {
		return err
	}
	a.link = broker.NewLink(broker.Config{URL: a.cfg.AMQPURL.Reveal(), Name: "api", TLS: trust.Config, Log: a.log, Metrics: metrics})
	if a.lanes, err = newLanes(a.link, a.cache.Lanes, a.log, a.metrics); err != nil {
		return err
	}
	// Behind the lanes: it publishes only once they are declared.
	a.publisher = broker.NewPublisher(a.link, broker.PublisherConfig{Name: "publish commands", Window: a.cfg.PublishWindow})
	a.group.Add("broker link", a.link.Start, a.link.Stop)
	a.group.Add("lanes", a.lanes.Start, a.lanes.Stop)
	a.internal.Check("amqp", func(context.Context) error { return a.link.Ready() })
	a.internal.Check("topology", a.lanes.Ready)
	return nil
}

func (a *App) serve(context.Context) error {
	metrics, err := httpapi.NewMetrics(a.metrics)
	if err != nil {
		return err
	}
	a.intake = intake.New(intake.Config{
		Registry: finder{a.cache}, Publisher: publisher{a.publisher}, Quota: a.quota, Clock: a.clock,
		Observer: metrics, PublishTimeout: a.cfg.PublishTimeout, Rates: a.cfg.Limits.commands(),
	})
	if err := a.operations(metrics); err != nil {
		return err
	}
	if a.console, err = console.New(console.Config{PushURL: a.cfg.PushURL}); err != nil {
		return err
	}
	proxies, err := a.cfg.Limits.proxies()
	if err != nil {
		return err
	}
	logins := audit.NewLogins(audit.New(a.pool), audit.StageIntake, a.log)
	a.group.Add("failed log-ins", logins.Start, logins.Stop)
	tls, err := certs.Server(a.cfg.TLS, a.log, a.certificates.Loaded)
	if err != nil {
		return err
	}
	door, err := doorway.New(a.cfg.Limits.Connections, a.metrics)
	if err != nil {
		return err
	}
	a.public = httpapi.New(httpapi.Config{
		Addr: a.cfg.Listen, TLS: tls, Door: door, Verifier: a.verifier, Clock: a.clock, Acceptor: a.intake,
		Registry: a.registry, Keys: a.keys, Credentials: a.credentials, Ledger: ledger.NewReader(a.pool), Mailbox: mailbox.New(a.pool, mailbox.Limits{}),
		Arrivals: a.arrivals, Trail: audit.New(a.pool), Letters: a.letters, Desk: a.desk, Queues: a.queues, Drains: a.drains,
		Settler:   ops.NewSettler(ledger.NewReader(a.pool), ledger.NewSettlements(a.pool), publisher{a.publisher}, a.clock),
		Retention: retention.New(a.pool), Erasures: erasure.New(a.pool),
		LoopGuard: a.cfg.LoopGuard, Clients: a.clients, Console: a.console,
		KeyRate: buckets(a.cfg.Limits.KeyRate, bursts), Failures: buckets(a.cfg.Limits.FailedLogins, loginBursts), Logins: logins,
		Proxies: proxies, Timeouts: a.cfg.Limits.timeouts(),
		Origins: a.cfg.Origins, Polls: a.cfg.LongPolls, AccessLog: a.cfg.AccessLog,
		Metrics: metrics, Tracer: a.tracer, Log: a.log, Failed: a.group.Fail,
	})
	a.group.Add("public port", a.public.Start, a.finish)
	a.group.Add("readiness", nil, func(context.Context) error {
		a.internal.SetDraining()
		return nil
	})
	return nil
}

// finish gives requests under way their time, and leaves the rest of the teardown its own.
func (a *App) finish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.Drain)
	defer cancel()
	return a.public.Stop(ctx)
}
