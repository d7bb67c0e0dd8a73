package hub

import "sync"

// tenants counts the sessions of each tenant, so that one cannot take the room of all. It is safe for concurrent use.
type tenants struct {
	most int // 0: no limit

	mu       sync.Mutex // guards sessions
	sessions map[string]int
}

// full reports whether there are as many as may be.
func (t *tenants) full(tenant string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.most > 0 && t.sessions[tenant] >= t.most
}

// enter counts one more, unless there are as many as may be; one that comes in another's place is let in.
func (t *tenants) enter(tenant string, inPlace bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.most > 0 && t.sessions[tenant] >= t.most && !inPlace {
		return false
	}
	if t.sessions == nil {
		t.sessions = map[string]int{}
	}
	t.sessions[tenant]++
	return true
}

func (t *tenants) leave(tenant string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sessions[tenant]--; t.sessions[tenant] <= 0 {
		delete(t.sessions, tenant)
	}
}
