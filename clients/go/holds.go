package cupline

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"time"

	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/topology"
)

// SetDevicePaused holds a device's commands back, or lets them go on, and returns the device as it stands.
func (c *Client) SetDevicePaused(ctx context.Context, id string, paused bool, a LetterAction) (d device.Device, err error) {
	err = c.postFor(ctx, devicesPath+"/"+url.PathEscape(id)+pausing(paused), a.Tenant, a, &d)
	return d, err
}

// LaneState is a lane as operators see it.
type LaneState struct {
	Lane     string          `json:"lane"`
	Paused   *topology.Pause `json:"paused,omitempty"`
	Draining bool            `json:"draining,omitempty"`
}

// SetLanePaused has a lane's dispatchers take nothing, or take again.
func (c *Client) SetLanePaused(ctx context.Context, lane string, paused bool, a LetterAction) (l LaneState, err error) {
	err = c.postFor(ctx, "/v1/lanes/"+url.PathEscape(lane)+pausing(paused), "", a, &l)
	return l, err
}

func pausing(paused bool) string {
	if paused {
		return "/pause"
	}
	return "/resume"
}

// Drain is a lane's backlog on its way to the recorder.
type Drain struct {
	DrainID string `json:"drain_id"`
	Lane    string `json:"lane"`
	// State is "running", "cancelled" or "done".
	State string `json:"state"`
	Rate  int    `json:"rate"`
	// Total waited when it began; nil where that was not known. Done have gone to the recorder.
	Total      *int64    `json:"total"`
	Done       int64     `json:"done"`
	Actor      string    `json:"actor"`
	Reason     string    `json:"reason"`
	CreatedAt  time.Time `json:"created_at"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
}

// DrainLane begins to end a lane's backlog, each command as discarded; rate is commands a second, 0 the platform's usual.
func (c *Client) DrainLane(ctx context.Context, lane string, rate int, a LetterAction) (d Drain, err error) {
	err = c.postFor(ctx, "/v1/lanes/"+url.PathEscape(lane)+"/drain", "", struct {
		Reason string `json:"reason"`
		Actor  string `json:"actor,omitempty"`
		Rate   int    `json:"rate,omitempty"`
	}{a.Reason, a.Actor, rate}, &d)
	return d, err
}

// LaneWaiting tells how many commands a drain of the lane would meet.
func (c *Client) LaneWaiting(ctx context.Context, lane string) (int64, error) {
	var told struct {
		Waiting int64 `json:"waiting"`
	}
	err := c.postFor(ctx, "/v1/lanes/"+url.PathEscape(lane)+"/drain", "", map[string]bool{"dry_run": true}, &told)
	return told.Waiting, err
}

const drainsPath = "/v1/drains"

// Drains lists up to limit drains (0: all), the newest first.
func (c *Client) Drains(ctx context.Context, limit int) iter.Seq2[Drain, error] {
	return walk[Drain](ctx, c, drainsPath, "drains", nil, limit)
}

// DrainState is how far a drain is.
func (c *Client) DrainState(ctx context.Context, drainID string) (d Drain, err error) {
	err = c.do(ctx, request{method: http.MethodGet, path: drainsPath + "/" + url.PathEscape(drainID)}, &d)
	return d, err
}

// CancelDrain ends a drain; what has gone stays discarded.
func (c *Client) CancelDrain(ctx context.Context, drainID string, a LetterAction) (d Drain, err error) {
	err = c.postFor(ctx, drainsPath+"/"+url.PathEscape(drainID)+"/cancel", "", a, &d)
	return d, err
}

// OpenCommand was started long ago and has no outcome.
type OpenCommand struct {
	CommandID string          `json:"command_id"`
	Client    string          `json:"client"`
	ID        json.RawMessage `json:"id"`
	Redrive   int             `json:"redrive"`
	Device    string          `json:"device"`
	Method    string          `json:"method"`
	Lane      string          `json:"lane"`
	// State is "open" or "decided"; then Reason says how by the platform.
	State     string    `json:"state"`
	Reason    string    `json:"reason,omitempty"`
	StartedAt time.Time `json:"started_at"`
	// OverdueAt is when its worker counted as lost.
	OverdueAt time.Time `json:"overdue_at"`
}

const openPath = "/v1/open-commands"

// OpenCommands lists up to limit of them (0: all), the oldest first; the filter may have "tenant", "from", "before" and "overdue".
func (c *Client) OpenCommands(ctx context.Context, f Filter, limit int) iter.Seq2[OpenCommand, error] {
	return walk[OpenCommand](ctx, c, openPath, "commands", f, limit)
}

// SettleOpenCommand ends one as worker_lost, and tells its client. Its State is "open" where the recorder has it and
// will decide in a moment.
func (c *Client) SettleOpenCommand(ctx context.Context, commandID string, a LetterAction) (o OpenCommand, err error) {
	err = c.postFor(ctx, openPath+"/"+url.PathEscape(commandID)+"/settle", a.Tenant, a, &o)
	return o, err
}

func (c *Client) postFor(ctx context.Context, path, tenant string, body, into any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("POST %s: %w: %w", path, ErrRefused, err)
	}
	return c.do(ctx, request{method: http.MethodPost, path: path, query: of(tenant), body: content}, into)
}
