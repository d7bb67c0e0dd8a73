package app

import (
	"context"
	"fmt"
	"time"

	"github.com/cupline/cupline/chassis/certs"
	"github.com/cupline/cupline/chassis/doorway"
	"github.com/cupline/cupline/chassis/limits"
	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/pusher/internal/feed"
	"github.com/cupline/cupline/pusher/internal/hub"
	"github.com/cupline/cupline/pusher/internal/mailbox"
	"github.com/cupline/cupline/pusher/internal/management"
	"github.com/cupline/cupline/pusher/internal/session"
	"github.com/cupline/cupline/pusher/internal/socket"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/changes"
	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/identity"
	"github.com/cupline/cupline/store/ledger"
	stored "github.com/cupline/cupline/store/mailbox"
)

// What operators have no reason to change.
const (
	lookupLimit = 3 * time.Second // one question to the database on a client's way in
	noteLimit   = 2 * time.Second // one attempt to note acks, for which deliveries wait
	noteRetry   = time.Second
	noteBacklog = 65_536 // notes of about 80 bytes
	storeLimit  = 10 * time.Second
	retryMin    = 100 * time.Millisecond
	retryMax    = 5 * time.Second
	storeBatch  = 128
	readers     = 4
	// notedPatience is how long a reader waits for a client's acks to be noted, which takes
	// milliseconds unless the database is away: that client's mailbox is tried again then.
	notedPatience = 200 * time.Millisecond
	drainGrace    = 3 * time.Second // from a client's moment to its close
	reread        = 2 * time.Second // after a binding, for clusters where nodes hear of it later
	rereadAfter   = time.Second
	writeLimit    = 10 * time.Second
	closeLimit    = 2 * time.Second
	queueBytes    = 1 << 20
	pruneEvery    = time.Minute
	settleWait    = 2 * time.Second
	writerFinish  = 5 * time.Second
	loginBurst    = 10      // seconds' worth of failed log-ins that may come at once
	addresses     = 100_000 // whose failed log-ins are counted
)

// database opens what is kept in Postgres. The ledger has a pool of its own, so that nothing
// else keeps a note waiting for a connection.
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
	if a.pool, err = open("cupline-pusher", a.cfg.DatabaseConnections); err != nil {
		return err
	}
	if a.ledgerPool, err = open("cupline-pusher-ledger", 1); err != nil {
		return err
	}
	if err := postgres.NewMetrics(a.registry, map[string]*postgres.Pool{"shared": a.pool, "ledger": a.ledgerPool}); err != nil {
		return fmt.Errorf("register the pools' metrics: %w", err)
	}
	a.clock = postgres.NewClock(a.pool, a.log)
	if a.metrics, err = newMetrics(a.registry, a.clock.Now); err != nil {
		return err
	}
	a.metrics.limit.Set(float64(a.cfg.Connections))
	verifier := identity.VerifierConfig{
		Now: a.clock.Now, Log: a.log, LoadTimeout: a.cfg.Lookup, Claims: a.cfg.Tokens.Claims, Tickets: true,
		OnRevoke: func(tenant, client, keyID string) { a.hub.Revoked(tenant, client, keyID) },
	}
	if a.cfg.Tokens.JWKS != "" {
		tokens, err := a.cfg.Tokens.Verifier(a.clock.Now, a.log)
		if err != nil {
			return fmt.Errorf("take tokens: %w", err)
		}
		a.group.Add("issuer's keys", tokens.Start, tokens.Stop)
		verifier.Tokens = tokens
	}
	a.keys = identity.NewVerifier(identity.New(a.pool), verifier)
	a.logins = audit.NewLogins(audit.New(a.pool), audit.StagePush, a.log)
	a.group.Add("failed log-ins", a.logins.Start, a.logins.Stop)
	listener := postgres.NewListener(a.pool, changes.Listener(a.log, a.keys))
	a.ledger, err = ledger.NewWriter(a.ledgerPool, ledger.Config{}, ledger.NewMetrics(a.registry))
	if err != nil {
		return fmt.Errorf("make the ledger: %w", err)
	}
	a.outcomes = stored.New(a.pool, stored.Limits{Outcomes: a.cfg.MailboxOutcomes, Bytes: a.cfg.MailboxBytes})
	a.internal.Check("postgres", a.pool.Ready)
	a.internal.Check("keys", listener.Ready)
	a.group.Add("database clock", a.clock.Start, a.clock.Stop)
	a.group.Add("keys", a.keys.Start, a.keys.Stop)
	a.group.Add("listener for changes", listener.Start, listener.Stop)
	a.group.Add("ledger", a.ledger.Start, a.ledger.Stop)
	return nil
}

// delivery builds the way from the slot's queue to the sockets.
func (a *App) delivery(context.Context) error {
	receipts := func(name string, write func(context.Context, []feed.Mark) error) *feed.Receipts {
		r := feed.NewReceipts(feed.ReceiptsConfig{
			Name: name, Write: write, Timeout: noteLimit, Retry: noteRetry, Backlog: noteBacklog,
			Forgotten: a.metrics.forgot(name), Tracer: a.tracer, Log: a.log,
		})
		a.group.Add("receipts for the "+name, r.Start, r.Stop)
		return r
	}
	a.inLedger = receipts("ledger", noteInLedger(a.ledger))
	a.inMailbox = receipts("mailbox", noteInMailbox(a.outcomes))
	a.reader = mailbox.NewReader(mailbox.ReaderConfig{
		Workers: readers, Timeout: storeLimit, Shelf: a.outcomes,
		Notes: a.inMailbox, Unnoted: session.Remembered(a.cfg.Window), Patience: notedPatience, Tracer: a.tracer, Log: a.log,
	})
	a.hub = hub.New(hub.Config{
		MaxSessions: a.cfg.ClientConnections, MaxTenant: a.cfg.TenantConnections, Keep: a.cfg.Reconnect, Reread: reread, RereadAfter: rereadAfter,
		Patience: a.cfg.Patience, DrainLimit: a.cfg.Drain, DrainGrace: a.cfg.Grace,
		Table:   feed.Table{Link: a.slotLink, Slot: a.cfg.Slot},
		Notices: feed.Notices{Publisher: a.publisher, Log: a.log},
		Reader:  a.reader, Observer: a.metrics, Wheel: a.wheel, Now: time.Now, Log: a.log,
	})
	a.slot = feed.NewSlot(a.slotLink, a.cfg.Slot, a.hub, a.log)
	a.internal.Check("slot", a.slot.Ready)
	a.feed = feed.New(a.slotLink, feed.Config{
		Queue: topology.PushQueue(a.cfg.Slot), Prefetch: a.cfg.Prefetch, CrowdedAfter: a.cfg.Crowded, Hub: a.hub,
		Wheel: a.wheel, Ledger: a.inLedger, Mailbox: a.inMailbox, Observer: a.metrics, Tracer: a.tracer, Log: a.log,
	})
	tls, err := certs.Server(a.cfg.TLS, a.log, a.certificates.Loaded, "http/1.1")
	if err != nil {
		return err
	}
	proxies, err := a.cfg.proxies()
	if err != nil {
		return err
	}
	door, err := doorway.New(a.cfg.Connections, a.registry)
	if err != nil {
		return err
	}
	a.sockets = socket.New(socket.Config{
		Addr: a.cfg.Listen, TLS: tls, Door: door, Proxies: proxies, Origins: a.cfg.Origin, MaxConnections: a.cfg.Connections,
		HeaderLimit: a.cfg.Hello, WriteLimit: writeLimit, CloseLimit: closeLimit,
		QueueBytes: max(queueBytes, 2*a.cfg.WindowBytes), Session: a.sessions(), Log: a.log, Failed: a.group.Fail,
	})
	a.group.Add("wheel", a.wheel.Start, a.wheel.Stop)
	a.group.Add("mailbox reader", a.reader.Start, a.reader.Stop)
	a.group.Add("hub", a.hub.Start, a.hub.Stop)
	a.group.Add("slot's link", a.slotLink.Start, stopLink(a.slotLink, a.slot.Wait))
	a.group.Add("feed", a.feed.Start, a.feed.Drain)
	return nil
}

func (a *App) sessions() *session.Config {
	return &session.Config{
		Limits: session.Limits{
			Window: a.cfg.Window, WindowBytes: a.cfg.WindowBytes,
			Hello: a.cfg.Hello, Join: a.cfg.BindLimit, Lookup: a.cfg.Lookup,
			Ping: a.cfg.Ping, Pong: a.cfg.Pong, Unacked: a.cfg.Unacked, AckTimeout: a.cfg.AckTimeout,
			Dwell: a.cfg.LagDwell, Reconnect: a.cfg.Reconnect, FrameRate: a.cfg.FrameRate,
		},
		Verifier: verifier{
			keys: a.keys, logins: a.logins, failed: a.metrics.failed,
			failures: limits.New(a.cfg.FailedLogins, int(a.cfg.FailedLogins*loginBurst), addresses),
		},
		Hub: a.hub, Mailbox: counts{a.outcomes}, Receipts: a.inMailbox,
		Observer: a.metrics, Wheel: a.wheel, Now: time.Now, Database: a.clock.Now, Log: a.log,
	}
}

// mailbox builds the way from the mailbox queue into the store, and out of it again in the end.
func (a *App) mailbox(context.Context) error {
	writer := mailbox.NewWriter(a.mailboxLink, mailbox.WriterConfig{
		Prefetch: a.cfg.MailboxPrefetch, Batch: storeBatch, Timeout: storeLimit, RetryMin: retryMin, RetryMax: retryMax,
		DrainLimit: writerFinish, Store: a.outcomes, Lot: mailbox.Parker{Letters: park(deadletter.New(a.pool))},
		Publisher: a.publisher, Fate: a.metrics.fate, Tracer: a.tracer, Log: a.log,
	})
	a.group.Add("mailbox's link", a.mailboxLink.Start, a.mailboxLink.Stop)
	a.group.Add("mailbox writer", writer.Start, writer.Stop)
	return nil
}

// prune looks after slots that nobody holds, where the broker's management can be asked.
func (a *App) prune(context.Context) error {
	if a.cfg.ManagementURL == "" {
		a.log.Info("RABBITMQ_MANAGEMENT_URL is not set: slots of pushers that are gone for good are not pruned")
		return nil
	}
	trust, err := a.cfg.Broker.Management(a.log)
	if err != nil {
		return err
	}
	directory, err := management.New(a.cfg.ManagementURL.Reveal(), trust.Transport(), a.cfg.AMQPURL.Reveal())
	if err != nil {
		return fmt.Errorf("RABBITMQ_MANAGEMENT_URL: %w", err)
	}
	pruner := feed.NewPruner(feed.PrunerConfig{
		Slot: a.cfg.Slot, Every: min(pruneEvery, a.cfg.SlotFree), Free: a.cfg.SlotFree, Settle: settleWait,
		Directory: directory, Link: a.mailboxLink, SlotLink: a.slotLink, Publisher: a.publisher,
		Sweep: a.hub.Sweep, Log: a.log,
	})
	a.group.Add("management", nil, directory.Close)
	a.group.Add("pruner", pruner.Start, pruner.Stop)
	return nil
}
