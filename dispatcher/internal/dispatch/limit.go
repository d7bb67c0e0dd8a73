package dispatch

import "sync"

// limits caps the commands in flight per device and per tenant in this process, so that
// a slow device, or a loud tenant, cannot take every slot. What is over is refused, never queued.
type limits struct {
	perDevice, perTenant int

	mu      sync.Mutex // guards the rest
	devices map[Address]int
	tenants map[string]int
}

// Address names one device.
type Address struct{ Tenant, Device string }

func newLimits(perDevice, perTenant int) *limits {
	return &limits{
		perDevice: perDevice, perTenant: perTenant,
		devices: make(map[Address]int), tenants: make(map[string]int),
	}
}

// take counts one command in; scope says which limit is reached when it cannot.
func (l *limits) take(a Address) (scope string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.devices[a] >= l.perDevice:
		return "device", false
	case l.tenants[a.Tenant] >= l.perTenant:
		return "tenant", false
	}
	l.devices[a]++
	l.tenants[a.Tenant]++
	return "", true
}

// free counts it out again.
func (l *limits) free(a Address) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.devices[a]--; l.devices[a] == 0 {
		delete(l.devices, a)
	}
	if l.tenants[a.Tenant]--; l.tenants[a.Tenant] == 0 {
		delete(l.tenants, a.Tenant)
	}
}
