// Package disconnect ends the broker's connections of devices whose credential was revoked, or that were deleted. The broker
// asks at log-ins only, and nobody but an administrator of it may end another's connection: so this runs where the janitor
// does, behind all public ports.
package disconnect

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/store/credential"
)

// Asked is what a Disconnector needs of a credential.Store.
type Asked interface {
	TakeDisconnects(ctx context.Context, limit int) ([]credential.Disconnect, error)
	Disconnected(ctx context.Context, d credential.Disconnect, ended int) error
	PutOff(ctx context.Context, d credential.Disconnect, least, most time.Duration) error
}

// Broker ends all connections of a user, and tells how many there were.
type Broker interface {
	End(ctx context.Context, user string) (int, error)
}

// Config of a Disconnector. All fields are required.
type Config struct {
	Asked  Asked
	Broker Broker
	// Every is how often it is looked for devices to disconnect.
	Every time.Duration
	Log   *zap.Logger
}

const (
	// batch is how many are taken at once; each takes two requests to the broker.
	batch = 50
	// limit bounds one device, so that a batch ends within its lease in most cases; what does not is done twice.
	limit = 5 * time.Second
	// One that failed is tried again after a while that grows between these.
	leastRetry = 2 * time.Second
	mostRetry  = time.Minute
)

// Disconnector works in the background. Any number of processes may run one.
type Disconnector struct {
	cfg  Config
	stop context.CancelFunc
	done chan struct{}
}

// New makes one.
func New(cfg Config) *Disconnector {
	return &Disconnector{cfg: cfg, stop: func() {}, done: make(chan struct{})}
}

// Start begins to look.
func (d *Disconnector) Start(ctx context.Context) error {
	ctx, d.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(d.done)
		tick := time.NewTicker(d.cfg.Every)
		defer tick.Stop()
		for {
			if err := d.Round(ctx); err != nil && ctx.Err() == nil {
				d.cfg.Log.Warn("devices to disconnect are not known now", zap.Error(err))
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return nil
}

// Stop ends it; another process goes on, or this one when it is back.
func (d *Disconnector) Stop(ctx context.Context) error {
	d.stop()
	select {
	case <-d.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop disconnecting devices: %w", context.Cause(ctx))
	}
}

// Round disconnects all that are due.
func (d *Disconnector) Round(ctx context.Context) error {
	for {
		due, err := d.cfg.Asked.TakeDisconnects(ctx, batch)
		if err != nil {
			return err
		}
		for _, one := range due {
			if err := d.end(ctx, one); err != nil {
				return err
			}
		}
		if len(due) < batch {
			return nil
		}
	}
}

// end ends one device's connections; where that fails it is put off. The error is the database's.
func (d *Disconnector) end(ctx context.Context, one credential.Disconnect) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ended, err := d.cfg.Broker.End(limited, device.Login(one.Tenant, one.Device))
	log := d.cfg.Log.With(zap.String("tenant", one.Tenant), zap.String("device", one.Device))
	if err != nil {
		log.Warn("a device whose credential was revoked may be connected still; it is tried again", zap.Error(err))
		return d.cfg.Asked.PutOff(ctx, one, leastRetry, mostRetry)
	}
	if ended > 0 {
		log.Info("a device was disconnected: a credential was revoked, or it was deleted", zap.Int("connections", ended))
	}
	return d.cfg.Asked.Disconnected(ctx, one, ended)
}
