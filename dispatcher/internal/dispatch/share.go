package dispatch

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// patienceForRoom is how long a command waits, without a slot, for one of its tenant's to end. Where devices answer
	// one does; where they hang the next tenant must not wait for it.
	patienceForRoom = time.Second
	// neighbourFor is how long a tenant counts as a neighbour after its last command.
	neighbourFor = 10 * time.Minute
)

// shares keeps a tenant whose devices hang from taking every slot of a lane: half of them are the most that it gets
// while the lane has another tenant. A tenant alone gets all.
type shares struct {
	slots int
	// fixed is the share whoever else is there; 0 for half or all.
	fixed int

	mu      sync.Mutex // guards the rest
	tenants map[string]*share
	// last and other are the two tenants that came last: of any two one is a neighbour.
	last, other visit
}

// share is what a tenant has in flight, and what waits for room.
type share struct {
	taken   int
	waiting []chan struct{} // closed with a place
}

type visit struct {
	tenant string
	at     time.Time
}

func newShares(slots, fixed int) *shares {
	return &shares{slots: slots, fixed: fixed, tenants: map[string]*share{}}
}

// enter takes a place for one command of a tenant, and waits for one if need be, but not long: false says that
// there is none, and the error is ctx's. A place is given back by leave. waits is called before a wait.
func (s *shares) enter(ctx context.Context, tenant string, waits func()) (bool, error) {
	place := s.ask(tenant)
	if place == nil {
		return true, nil
	}
	waits()
	limit := time.NewTimer(patienceForRoom)
	defer limit.Stop()
	select {
	case <-place:
		return true, nil
	case <-limit.C:
		return !s.withdraw(tenant, place), nil
	case <-ctx.Done():
		if !s.withdraw(tenant, place) {
			s.leave(tenant)
		}
		return false, context.Cause(ctx)
	}
}

// ask takes a place, or returns what is closed with one.
func (s *shares) ask(tenant string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.last.tenant != tenant {
		s.other = s.last
	}
	s.last = visit{tenant, now}
	of := s.tenants[tenant]
	if of == nil {
		of = &share{}
		s.tenants[tenant] = of
	}
	if of.taken < s.limit(tenant, now) {
		of.taken++
		return nil
	}
	place := make(chan struct{})
	of.waiting = append(of.waiting, place)
	return place
}

// limit of a tenant's commands in flight.
func (s *shares) limit(tenant string, now time.Time) int {
	if s.fixed > 0 {
		return s.fixed
	}
	for _, v := range []visit{s.last, s.other} {
		if v.tenant != tenant && v.tenant != "" && now.Sub(v.at) < neighbourFor {
			return max(1, s.slots/2)
		}
	}
	return s.slots
}

// withdraw gives up waiting; false when the place has come meanwhile.
func (s *shares) withdraw(tenant string, place <-chan struct{}) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.tenants[tenant]
	at := slices.IndexFunc(of.waiting, func(w chan struct{}) bool { return w == place })
	if at < 0 {
		return false
	}
	of.waiting = slices.Delete(of.waiting, at, at+1)
	s.forget(tenant, of)
	return true
}

// leave gives a place back, to the command of the tenant that has waited longest.
func (s *shares) leave(tenant string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.tenants[tenant]
	of.taken--
	for limit := s.limit(tenant, time.Now()); of.taken < limit && len(of.waiting) > 0; {
		close(of.waiting[0])
		of.waiting = slices.Delete(of.waiting, 0, 1)
		of.taken++
	}
	s.forget(tenant, of)
}

func (s *shares) forget(tenant string, of *share) {
	if of.taken == 0 && len(of.waiting) == 0 {
		delete(s.tenants, tenant)
	}
}
