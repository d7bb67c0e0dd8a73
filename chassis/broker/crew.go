package broker

import "sync"

// crew is a set of goroutines that are waited for together. Unlike a bare WaitGroup it may
// be asked for one more while it is being waited for, and then says no.
type crew struct {
	mu     sync.Mutex // guards closed, and that no Go starts after Wait
	closed bool
	wg     sync.WaitGroup
}

// Go runs f in a goroutine of the crew; it reports false, and does nothing, after Wait.
func (c *crew) Go(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.wg.Go(f)
	return true
}

// Wait takes no more, and returns when all are done.
func (c *crew) Wait() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.wg.Wait()
}
