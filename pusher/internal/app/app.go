package app

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/lifecycle"
	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/chassis/telemetry"
	"github.com/cupline/cupline/chassis/tracing"
	"github.com/cupline/cupline/pusher/internal/feed"
	"github.com/cupline/cupline/pusher/internal/hub"
	"github.com/cupline/cupline/pusher/internal/mailbox"
	"github.com/cupline/cupline/pusher/internal/socket"
	"github.com/cupline/cupline/pusher/internal/wheel"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/identity"
	"github.com/cupline/cupline/store/ledger"
	stored "github.com/cupline/cupline/store/mailbox"
)

// teardown is what stopping may take besides the drain.
const teardown = 15 * time.Second

// App is one pusher process.
type App struct {
	cfg      Settings
	log      *zap.Logger
	registry *telemetry.Registry
	metrics  *metrics
	group    *lifecycle.Group
	internal *telemetry.Server
	// certificates shows when those that are loaded end.
	certificates *telemetry.Certificates
	tracer       *tracing.Tracer // nil while tracing is off

	pool, ledgerPool *postgres.Pool
	clock            *postgres.Clock
	keys             *identity.Verifier
	logins           *audit.Logins
	ledger           *ledger.Writer
	outcomes         *stored.Store

	// The slot's link consumes and binds; the mailbox's consumes; the third publishes, for an
	// alarm at the broker blocks those who publish, and must not stop the acks.
	slotLink, mailboxLink, publishing *broker.Link
	publisher                         *broker.Publisher

	wheel  *wheel.Wheel
	hub    *hub.Hub
	slot   *feed.Slot
	feed   *feed.Feed
	reader *mailbox.Reader
	// Acks of clients are noted in the ledger, or where a copy may lie in a mailbox, in both.
	inLedger, inMailbox *feed.Receipts
	sockets             *socket.Server
}

// New puts a process together; nothing is connected before Run.
func New(ctx context.Context, cfg Settings, log *zap.Logger, level zap.AtomicLevel) (*App, error) {
	a := &App{
		cfg: cfg, log: log, registry: telemetry.NewRegistry(),
		group: lifecycle.New(log, cfg.Drain+cfg.Grace+teardown),
		wheel: wheel.New(cfg.Tick),
	}
	a.internal = telemetry.NewServer(telemetry.ServerConfig{
		Addr: cfg.InternalAddr, Profiles: cfg.Profiles, Registry: a.registry, Level: level, Log: log, Failed: a.group.Fail,
	})
	var err error
	if a.certificates, err = telemetry.NewCertificates(a.registry); err != nil {
		return nil, fmt.Errorf("register the certificates' metrics: %w", err)
	}
	if a.tracer, err = tracing.New(ctx, cfg.Trace, "pusher", a.registry, log); err != nil {
		return nil, err
	}
	a.group.Add("internal port", a.internal.Start, a.internal.Stop)
	a.group.Add("traces", nil, a.tracer.Stop)
	// Each part registers its teardown behind those that it needs.
	for _, build := range []func(context.Context) error{a.database, a.links, a.mailbox, a.delivery, a.prune, a.survey, a.listen} {
		if err := build(ctx); err != nil {
			for _, pool := range []*postgres.Pool{a.pool, a.ledgerPool} {
				if pool != nil {
					pool.Close()
				}
			}
			return nil, err
		}
	}
	return a, nil
}

// Run serves until ctx ends, and then stops in order: not ready, no new sockets, clients
// sent elsewhere and unbound, what is left handed back, links, database, telemetry.
func (a *App) Run(ctx context.Context) error { return a.group.Run(ctx) }

// Reference lists the metrics of this process.
func (a *App) Reference() ([]telemetry.Metric, error) { return a.registry.Reference() }

// Addr is host:port for clients, once Run has started it; empty before.
func (a *App) Addr() string { return a.sockets.Addr() }

// InternalAddr is host:port of the internal port, once Run has started it; empty before.
func (a *App) InternalAddr() string { return a.internal.Addr() }

// links makes the three connections to the broker. The one that publishes is stopped last.
func (a *App) links(context.Context) error {
	metrics, err := broker.NewMetrics(a.registry)
	if err != nil {
		return err
	}
	trust, err := a.cfg.Broker.Client(a.log)
	if err != nil {
		return err
	}
	link := func(name string) *broker.Link {
		l := broker.NewLink(broker.Config{
			URL: a.cfg.AMQPURL.Reveal(), Name: name + "-" + a.cfg.Slot, TLS: trust.Config, Log: a.log, Metrics: metrics,
		})
		a.internal.Check("broker ("+name+")", func(context.Context) error { return l.Ready() })
		return l
	}
	a.publishing = link("pusher-publish")
	a.slotLink = link("pusher-slot")
	a.mailboxLink = link("pusher-mailbox")
	a.publishing.OnUp("declare the way back", func(ctx context.Context, s *broker.Session) error {
		_, err := s.Declare(ctx, topology.Replies()) // drifts are reported by the mailbox's link
		return err
	})
	a.publishing.Keep(broker.KeepEvery, func(context.Context) (topology.Topology, error) { return topology.Replies(), nil })
	a.publisher = broker.NewPublisher(a.publishing, broker.PublisherConfig{Name: "publish notices"})
	a.group.Add("link that publishes", a.publishing.Start, a.publishing.Stop)
	return nil
}

// listen accepts clients, once everything that serves them is there. Its stops are the
// first: not ready; no new sockets; clients sent elsewhere; what is left closed.
func (a *App) listen(context.Context) error {
	a.group.Add("sockets", nil, a.sockets.Stop)
	a.group.Add("drain", nil, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, a.cfg.Drain+a.cfg.Grace+teardown/3)
		defer cancel()
		return a.hub.Drain(ctx)
	})
	a.group.Add("listener for clients", a.sockets.Start, a.sockets.Close)
	a.group.Add("readiness", nil, func(context.Context) error {
		a.internal.SetDraining()
		return nil
	})
	return nil
}

// stopLink stops a link and says whose it was.
func stopLink(l *broker.Link, after func()) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := l.Stop(ctx); err != nil {
			return fmt.Errorf("stop a link: %w", err)
		}
		after()
		return nil
	}
}
