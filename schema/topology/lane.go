package topology

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Lane is a work queue and the dispatchers on it, as operators configure it.
type Lane struct {
	Name string
	// MaxTTL caps every command's time in the queue. 1 s to 24 h.
	MaxTTL time.Duration
	// MaxLength is the most commands that may wait; past it a publish is refused
	// and the client gets 503. 1 to 100,000,000.
	MaxLength int64
	// LedgerOff turns claims off: delivery is at least once, and only idempotent
	// methods may use the lane.
	LedgerOff bool
	// Tenants that may use the lane; empty means all.
	Tenants []string
	// Paused is why dispatchers take nothing from it; nil while they do. Draining says that its backlog is on its way to the
	// recorder, and that they take nothing meanwhile. Neither is configuration.
	Paused   *Pause
	Draining bool
}

// Pause says that operators hold commands back.
type Pause struct {
	At time.Time `json:"at"`
	By string    `json:"by"`
	// Why they do.
	Why string `json:"why"`
}

// Taken reports whether dispatchers take commands from the lane.
func (l Lane) Taken() bool { return l.Paused == nil && !l.Draining }

// DefaultLane is the lane that every installation has.
func DefaultLane() Lane {
	return Lane{Name: "default", MaxTTL: time.Hour, MaxLength: 1_000_000}
}

// Limits of a lane's settings.
const (
	MinLaneTTL    = time.Second
	MaxLaneTTL    = 24 * time.Hour
	MaxLaneLength = 100_000_000
)

// Check reports every problem of the lane at once.
func (l Lane) Check() error {
	var problems []error
	problems = append(problems, CheckName("lane", l.Name))
	if l.MaxTTL < MinLaneTTL || l.MaxTTL > MaxLaneTTL {
		problems = append(problems, fmt.Errorf("lane %s: max_ttl %s: must be %s to %s", l.Name, l.MaxTTL, MinLaneTTL, MaxLaneTTL))
	}
	if l.MaxLength < 1 || l.MaxLength > MaxLaneLength {
		problems = append(problems, fmt.Errorf("lane %s: max_length %d: must be 1 to %d", l.Name, l.MaxLength, MaxLaneLength))
	}
	for _, tenant := range l.Tenants {
		problems = append(problems, CheckID("tenant", tenant))
	}
	return errors.Join(problems...)
}

// Allows reports whether a tenant may use the lane.
func (l Lane) Allows(tenant string) bool {
	return len(l.Tenants) == 0 || slices.Contains(l.Tenants, tenant)
}
