package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/verify/history"
	"github.com/cupline/cupline/verify/load"
	"github.com/cupline/cupline/verify/summary"
)

const (
	// cleanLimit bounds the look at what was left, and the removal of the devices.
	cleanLimit = 10 * time.Minute
	// look is how often is asked whether anything is missing.
	look = 200 * time.Millisecond
	// grace is for what may come too often, and for one-way commands, of whose end nobody is told.
	grace = load.Timeout + time.Second
	// pace of questions to the ledger.
	pace = 10 * time.Millisecond
)

// ErrBusyClient says that the key's client has outcomes that are not of this run.
var ErrBusyClient = errors.New("the key's client has outcomes waiting: verify with a client of its own, such as one made by `cupline keys create --client verify`")

// Run sends, waits, looks and cleans up. Its error says that it could not be carried out; what
// it found is in the report. It ends early, and as orderly, with ctx.
func Run(ctx context.Context, cfg Config) (report summary.Report, err error) {
	if err := cfg.Check(); err != nil {
		return report, err
	}
	if cfg.Progress == nil {
		cfg.Progress = func(string, ...any) {}
	}
	client, err := cupline.New(cupline.Config{URL: cfg.API, PushURL: cfg.Push, Key: cfg.Key})
	if err != nil {
		return report, err
	}
	defer client.CloseIdle()
	mailbox, err := client.Mailbox(ctx, 0, 1)
	if err != nil {
		return report, err
	}
	if len(mailbox.Outcomes) > 0 {
		return report, ErrBusyClient
	}
	began := time.Now()
	r := run{cfg: cfg, client: client, began: began, prefix: "verify-" + strconv.FormatInt(began.UnixMilli(), 36) + "-"}
	cfg.Log.Add(history.Event{Kind: history.Run, Name: strconv.FormatUint(cfg.Seed, 10)})
	if err := r.load(ctx); err != nil {
		return report, err
	}
	report = summary.Of(cfg.Log.Events())
	if report.Commands == 0 && len(report.Violations) == 0 {
		return report, fmt.Errorf("nothing was accepted: %w", r.refusal())
	}
	return report, nil
}

// run is one run.
type run struct {
	cfg    Config
	client *cupline.Client
	began  time.Time
	prefix string
}

func (r run) load(ctx context.Context) (err error) {
	tenant := r.cfg.Tenant
	if tenant == "" {
		tenant = "own"
	}
	l, err := load.Start(ctx, load.Config{
		Seed: r.cfg.Seed, APIs: []string{r.cfg.API}, Pushers: []string{r.cfg.Push}, Rate: r.cfg.Rate, Log: r.cfg.Log,
		MQTT: r.cfg.MQTT, Web: r.cfg.Web, NoWeb: r.cfg.Web == "", Prefix: r.prefix, Lane: r.cfg.Lane,
		Tenants: []load.Tenant{{Name: tenant, Keys: map[string]string{string(load.Online): r.cfg.Key}}},
	})
	cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.Patience+cleanLimit)
	defer cancel()
	defer func() { err = errors.Join(err, l.Stop(), l.Remove(cleaning)) }()
	if err != nil {
		return err
	}
	r.cfg.Progress("sending %g commands a second for %s", r.cfg.Rate, r.cfg.Time)
	pause(ctx, r.cfg.Time)
	l.Calm()
	r.cfg.Progress("waiting for outcomes, up to %s", r.cfg.Patience)
	r.settle(cleaning)
	if err := l.Stop(); err != nil {
		return err
	}
	r.cfg.Progress("asking what the platform holds")
	return r.collect(cleaning, tenant)
}

// settle waits until no accepted command lacks its outcome.
func (r run) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Patience)
	defer cancel()
	for r.missing() > 0 && pause(ctx, look) {
	}
	pause(ctx, grace)
}

func (r run) missing() (n int) {
	waiting := map[string]bool{}
	for _, e := range r.cfg.Log.Events() {
		switch {
		case e.Kind == history.Post && e.Answer == history.Accepted && !e.OneWay:
			if _, came := waiting[e.ID]; !came {
				waiting[e.ID] = true
			}
		case e.Kind == history.Outcome:
			waiting[e.ID] = false
		}
	}
	for _, waits := range waiting {
		if waits {
			n++
		}
	}
	return n
}

// collect writes down what the platform tells of the commands that were sent.
func (r run) collect(ctx context.Context, tenant string) error {
	asked := map[string]bool{}
	for _, e := range r.cfg.Log.Events() {
		name := e.ID + e.CommandID
		if !e.OneWay {
			name = e.ID
		}
		if e.Kind != history.Post || asked[name] || e.Answer == history.Refused || e.OneWay && e.CommandID == "" {
			continue
		}
		asked[name] = true
		rows, err := r.rows(ctx, e)
		if err != nil {
			return fmt.Errorf("ask the ledger for %s: %w", name, err)
		}
		for _, row := range rows {
			r.cfg.Log.Add(r.row(tenant, e, row))
		}
		pause(ctx, pace)
	}
	return errors.Join(r.letters(ctx, tenant), r.audit(ctx, tenant))
}

func (r run) rows(ctx context.Context, e history.Event) ([]cupline.Command, error) {
	if !e.OneWay {
		rows, err := r.client.Commands(ctx, json.RawMessage(e.ID))
		if errors.Is(err, cupline.ErrNotFound) {
			return nil, nil // the checker judges that
		}
		return rows, err
	}
	row, err := r.client.Command(ctx, e.CommandID)
	if errors.Is(err, cupline.ErrNotFound) {
		return nil, nil // a dead letter may tell of it
	}
	return []cupline.Command{row}, err
}

func (r run) row(tenant string, post history.Event, c cupline.Command) history.Event {
	e := history.Event{
		Kind: history.Ledger, Tenant: tenant, Client: post.Client, ID: post.ID, CommandID: c.CommandID, Device: c.Device, Method: c.Method,
		Origin: c.Origin, OneWay: post.OneWay, Delivered: !c.Delivered.IsZero(), Redrive: c.Redrive,
	}
	o, decided := c.Outcome()
	e.Decided = decided
	var failure *cupline.PlatformError
	if _, err := o.Result(); decided && errors.As(err, &failure) {
		e.Reason = string(failure.Reason)
	}
	return e
}

// letters of this run's devices. A key that may not see them leaves them unseen.
func (r run) letters(ctx context.Context, tenant string) error {
	for l, err := range r.client.DeadLetters(ctx, r.since(), 0) {
		if err != nil {
			return r.unseen(history.Letter, err)
		}
		if strings.HasPrefix(l.Device, r.prefix) {
			r.cfg.Log.Add(history.Event{
				Kind: history.Letter, Tenant: tenant, Client: string(load.Online), ID: string(l.ID), CommandID: l.CommandID,
				Device: l.Device, Method: l.Method, Reason: l.Reason, Name: l.State,
			})
		}
	}
	return nil
}

func (r run) audit(ctx context.Context, tenant string) error {
	for a, err := range r.client.Audit(ctx, r.since(), 0) {
		if err != nil {
			return r.unseen(history.Audit, err)
		}
		if strings.HasPrefix(a.Device, r.prefix) {
			r.cfg.Log.Add(history.Event{
				At: a.At, Kind: history.Audit, Tenant: tenant, Client: string(load.Online), ID: string(a.ID), CommandID: a.CommandID,
				Device: a.Device, Method: a.Method, Reason: a.Reason, Name: a.Stage,
			})
		}
	}
	return nil
}

// since is the time of the run, with room for a clock that is a little off.
func (r run) since() cupline.Filter {
	return cupline.Filter{"from": r.began.Add(-time.Minute).UTC().Format(time.RFC3339)}
}

func (r run) unseen(kind history.Kind, err error) error {
	var problem *cupline.Problem
	if !errors.As(err, &problem) || problem.Status != http.StatusForbidden {
		return fmt.Errorf("ask for the %s: %w", kind, err)
	}
	r.cfg.Progress("the key lacks ops:read: the %s is not looked at", kind)
	r.cfg.Log.Add(history.Event{Kind: history.Unseen, Name: string(kind)})
	return nil
}

// refusal is why nothing was accepted, by the last post.
func (r run) refusal() error {
	last := "nothing was sent"
	for _, e := range r.cfg.Log.Events() {
		if e.Kind == history.Post {
			last = e.Detail
		}
	}
	return errors.New(last)
}

// pause waits; false when ctx ended first.
func pause(ctx context.Context, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
