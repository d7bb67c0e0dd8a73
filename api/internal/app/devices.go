package app

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/api/internal/devicelogin"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/credential"
	"github.com/cupline/cupline/store/registry"
)

// BrokerPath is where the broker asks about devices, on the internal port.
const BrokerPath = "/broker"

// Refused log-ins of one device that are looked at, and told in the audit trail, in each window.
const (
	loginRefusals      = 10
	loginRefusalWindow = time.Minute
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
		Refused: refusedLogins{known, audit.New(a.pool), a.log}.note,
		Limit:   devicelogin.NewLimit(loginRefusals, loginRefusalWindow, nil), Metrics: metrics, Log: a.log,
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

// refusedLogins writes them into the audit trail: of the tenant, where the device is its own, else of the platform.
type refusedLogins struct {
	devices registered
	trail   *audit.Trail
	log     *zap.Logger
}

func (r refusedLogins) note(ctx context.Context, tenant, device, why string) {
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
