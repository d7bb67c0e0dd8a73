package broker

import "sync"

// alarm is whether the broker has blocked a connection. Whoever waits for something that a
// blocked broker will not give waits for raised as well.
type alarm struct {
	mu     sync.Mutex // guards the rest
	on     bool
	why    string
	signal chan struct{} // closed while on
}

func (a *alarm) raise(why string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.why = why
	if !a.on {
		a.on = true
		close(a.signal)
	}
}

// lower clears the alarm; it also makes the zero value ready for use.
func (a *alarm) lower() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.on || a.signal == nil {
		a.on, a.why, a.signal = false, "", make(chan struct{})
	}
}

// raised returns a channel that is closed while the alarm is on.
func (a *alarm) raised() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.signal
}

func (a *alarm) active() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.on
}

func (a *alarm) reason() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.why
}
