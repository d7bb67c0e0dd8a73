// Package basic holds the methods that every agent has: echo and sleep.
package basic

import (
	"context"
	"encoding/json"
	"time"

	"github.com/cupline/cupline/agent/internal/rpc"
)

// MaxSleep bounds sleep.
const MaxSleep = 20 * time.Minute

// Sleep waits for {"seconds":n}, fractions included.
func Sleep(ctx context.Context, c rpc.Call) (any, error) {
	var params struct {
		Seconds *float64 `json:"seconds"`
	}
	if err := c.Bind(&params); err != nil {
		return nil, err
	}
	if params.Seconds == nil || *params.Seconds < 0 || *params.Seconds > MaxSleep.Seconds() {
		return nil, rpc.BadParams("seconds must be 0 to %g", MaxSleep.Seconds())
	}
	timer := time.NewTimer(time.Duration(*params.Seconds * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return map[string]float64{"seconds": *params.Seconds}, nil
	case <-ctx.Done():
		return nil, &rpc.Error{Code: rpc.Failed, Message: "the agent is stopping"}
	}
}

// Echo answers its params; null when there are none.
func Echo(_ context.Context, c rpc.Call) (any, error) {
	return json.RawMessage(c.Params), nil
}

// Add puts the methods into the table.
func Add(t rpc.Table) {
	t["echo"] = Echo
	t["sleep"] = Sleep
}
