package app

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/cupline/cupline/api/internal/devicelogin"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/credential"
	"github.com/cupline/cupline/store/registry"
)

// BrokerPath is where the broker asks about devices, on the internal port.
const BrokerPath = "/broker"

// loginWindow is in which Limits.DeviceLogins are counted.
const loginWindow = time.Minute

// Refused log-ins of all devices that are told in the audit trail, a second: names are without number, too.
const (
	refusalRate  = 10
	refusalBurst = 100
)

// devices serves the broker's questions about devices.
func (a *App) devices(context.Context) error {
	metrics, err := devicelogin.NewMetrics(a.metrics)
	if err != nil {
		return err
	}
	vhost, err := vhostOf(a.cfg.AMQPURL.Reveal())
	if err != nil {
		return err
	}
	a.credentials = credential.New(a.pool)
	known := registered{a.registry}
	a.internal.Handle("POST "+BrokerPath+"/", devicelogin.New(BrokerPath, devicelogin.Config{
		Credentials: passwords{a.credentials}, Devices: known, Vhost: vhost, Certificates: a.cfg.DeviceCertificates,
		Refused: (&refusedLogins{devices: known, trail: audit.New(a.pool), limiter: rate.NewLimiter(refusalRate, refusalBurst), log: a.log}).note,
		Limit:   devicelogin.NewLimit(a.cfg.Limits.DeviceLogins, loginWindow, nil), Metrics: metrics, Log: a.log,
	}))
	return nil
}

// vhostOf is the virtual host of an AMQP URL; of several, of the first.
func vhostOf(urls string) (string, error) {
	first, _, _ := strings.Cut(urls, ",")
	u, err := url.Parse(strings.TrimSpace(first))
	if err != nil {
		return "", errors.New("AMQP_URL cannot be read") // the parser's words may show a password
	}
	if vhost := strings.TrimPrefix(u.Path, "/"); vhost != "" {
		return vhost, nil
	}
	return "/", nil
}

// passwords verifies within the device's own tenant.
type passwords struct{ store *credential.Store }

func (p passwords) Verify(ctx context.Context, tenant, device, password string) (string, error) {
	return p.store.Verify(store.ForTenant(ctx, tenant), tenant, device, password)
}

// registered asks the registry within the device's own tenant.
type registered struct{ store *registry.Store }

func (r registered) Registered(ctx context.Context, tenant, device string) (bool, error) {
	_, err := r.store.Device(store.ForTenant(ctx, tenant), tenant, device)
	if errors.Is(err, registry.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// refusedLogins writes them into the audit trail: of the tenant, where the device is its own, else of the platform. Of those
// that are too many the next entry tells how many there were.
type refusedLogins struct {
	devices registered
	trail   *audit.Trail
	limiter *rate.Limiter
	left    atomic.Int64 // not told of yet
	log     *zap.Logger
}

func (r *refusedLogins) note(ctx context.Context, tenant, device, why string) {
	if !r.limiter.Allow() {
		r.left.Add(1)
		return
	}
	if left := r.left.Swap(0); left > 0 {
		why += fmt.Sprintf(" (and %d more before it, of any device, that are not listed)", left)
	}
	owner := tenant
	if known, err := r.devices.Registered(ctx, tenant, device); err != nil || !known {
		owner = topology.SystemTenant
	}
	r.log.Warn("a device's log-in was refused", zap.String("tenant", tenant), zap.String("device", device), zap.String("why", why))
	entry := audit.Entry{
		Tenant: owner, Stage: audit.StageDevice, Action: "log_in_refused", Actor: "device " + tenant + "/" + device, Device: device, Detail: why,
	}
	if err := r.trail.Append(store.ForTenant(ctx, owner), entry); err != nil {
		r.log.Error("not in the audit trail", zap.String("tenant", owner), zap.String("device", device), zap.Error(err))
	}
}
