package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/audit"
)

const pauseColumns = `paused_at, paused_by, paused_why`

// pause is one as it is read.
type pause struct {
	topology.Pause
	at *time.Time
}

func (p *pause) told() *topology.Pause {
	if p.at == nil {
		return nil
	}
	p.At = p.at.UTC()
	return &p.Pause
}

// PauseError says that something is paused already, or, with Paused nil, that it is not.
type PauseError struct{ Paused *topology.Pause }

func (e *PauseError) Error() string {
	if e.Paused == nil {
		return "it is not paused"
	}
	return fmt.Sprintf("it is paused since %s, by %s: %s", e.Paused.At.Format(time.RFC3339), e.Paused.By, e.Paused.Why)
}

// Act is who pauses or resumes something, and why.
type Act struct{ Actor, Reason string }

const maxActor = 512 // bytes

// SetLanePaused pauses a lane, or lets it go on: ErrNotFound, or a *PauseError when it is so already. Dispatchers are
// notified. It stands in the audit trail of topology.SystemTenant, which the context has to be for.
func (s *Store) SetLanePaused(ctx context.Context, lane string, paused bool, act Act) error {
	e := audit.Entry{Tenant: topology.SystemTenant, Action: "resume_lane", Lane: lane}
	if paused {
		e.Action = "pause_lane"
	}
	standing := func(tx pgx.Tx) (*topology.Pause, error) {
		found, err := scanLane(tx.QueryRow(ctx, `select `+laneColumns+` from lanes where lane = $1`, lane))
		return found.Paused, err
	}
	return s.setPaused(ctx, `update lanes`, `lane = $4`, paused, act, e, standing, lane)
}

// SetDevicePaused pauses a device, or lets it go on: ErrNotFound, or a *PauseError when it is so already. Dispatchers are notified.
func (s *Store) SetDevicePaused(ctx context.Context, tenant, device string, paused bool, act Act) error {
	e := audit.Entry{Tenant: tenant, Action: "resume_device", Device: device}
	if paused {
		e.Action = "pause_device"
	}
	standing := func(tx pgx.Tx) (*topology.Pause, error) {
		found, err := scanDevice(tx.QueryRow(ctx, `select `+deviceColumns+` from devices where tenant = $1 and device = $2`, tenant, device))
		return found.Paused, err
	}
	return s.setPaused(ctx, `update devices`, `tenant = $4 and device = $5`, paused, act, e, standing, tenant, device)
}

func (s *Store) setPaused(ctx context.Context, update, where string, paused bool, act Act, e audit.Entry,
	standing func(pgx.Tx) (*topology.Pause, error), of ...any) error {
	actor, why := audit.Text(act.Actor, maxActor), audit.Text(act.Reason, audit.MaxDetail)
	e.Stage, e.Actor, e.Detail = audit.StageOperator, actor, why
	if !paused {
		actor, why = "", ""
	}
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, update+` set paused_at = case when $1 then clock_timestamp() end, paused_by = $2, paused_why = $3
			where `+where+` and (paused_at is null) = $1`, append([]any{paused, actor, why}, of...)...)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			stands, err := standing(tx)
			if err != nil {
				return err
			}
			return &PauseError{Paused: stands}
		}
		var trail pgx.Batch
		audit.Queue(&trail, e)
		return tx.SendBatch(ctx, &trail).Close()
	})
	var already *PauseError
	if errors.As(err, &already) {
		return err
	}
	if err != nil {
		return fault("pause or resume", err)
	}
	return nil
}
