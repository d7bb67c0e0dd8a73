package dispatch

import "sync"

// limits caps the commands in flight per device in this process, so that a slow device cannot take every
// slot. What is over is refused, never queued.
type limits struct {
	perDevice int

	mu      sync.Mutex // guards the rest
	devices map[Address]int
}

// Address names one device.
type Address struct{ Tenant, Device string }

func newLimits(perDevice int) *limits {
	return &limits{perDevice: perDevice, devices: make(map[Address]int)}
}

// take counts one command in; false when it cannot.
func (l *limits) take(a Address) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.devices[a] >= l.perDevice {
		return false
	}
	l.devices[a]++
	return true
}

// free counts it out again.
func (l *limits) free(a Address) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.devices[a]--; l.devices[a] == 0 {
		delete(l.devices, a)
	}
}
