package mqtt

import (
	"sync"

	"github.com/cupline/cupline/dispatcher/internal/dispatch"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/outcome"
)

// call names one call in flight: everything that an answer has to match.
type call struct{ tenant, device, id string }

// answer is what a device sent for one call.
type answer struct {
	response jsonrpc.Response
	err      error // why it is no JSON-RPC response
	size     int
}

// problem is the failure of an answer that does not count as one.
func (a *answer) problem(c *dispatch.Call) error {
	switch {
	case a.size > c.MaxAnswer:
		return c.TooLong()
	case a.err != nil:
		return &dispatch.Failure{Reason: outcome.BadAnswer, Detail: "the answer is no JSON-RPC response: " + a.err.Error()}
	}
	return nil
}

// calls are those that wait for an answer.
type calls struct {
	mu      sync.Mutex // guards the rest
	waiting map[call]chan answer
	devices map[dispatch.Address]int // how many each device has
}

// expect registers a call; false when there is one of that name.
func (c *calls) expect(key call) (<-chan answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.waiting[key]; there {
		return nil, false
	}
	answers := make(chan answer, 1)
	c.waiting[key] = answers
	c.devices[key.address()]++
	return answers, true
}

// take removes a call and returns where its answer goes; nil when there is none.
func (c *calls) take(key call) chan<- answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	answers, there := c.waiting[key]
	if there {
		c.remove(key)
	}
	return answers
}

// forget removes a call that ends.
func (c *calls) forget(key call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.waiting[key]; there {
		c.remove(key)
	}
}

// remove needs mu.
func (c *calls) remove(key call) {
	delete(c.waiting, key)
	at := key.address()
	if c.devices[at]--; c.devices[at] == 0 {
		delete(c.devices, at)
	}
}

// any tells whether a device has calls in flight.
func (c *calls) any(at dispatch.Address) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.devices[at] > 0
}

func (k call) address() dispatch.Address { return dispatch.Address{Tenant: k.tenant, Device: k.device} }

// maxScanned bounds the work on an answer that is too long anyway: up to here its id is
// looked for, so that its call can end as bad_answer at once. In bytes.
const maxScanned = 16 << 20

// Answer takes what came on a topic of replies; key is its routing key. It never blocks.
func (d *Driver) Answer(key string, body []byte) {
	tenant, name, dispatcher, ok := device.ParseRepliesKey(key)
	if !ok || dispatcher != d.cfg.Dispatcher {
		d.cfg.Metrics.ignore(ignoredTopic)
		return
	}
	if !d.calls.any(dispatch.Address{Tenant: tenant, Device: name}) {
		d.cfg.Metrics.ignore(ignoredNoCall)
		return
	}
	if len(body) > maxScanned {
		d.cfg.Metrics.ignore(ignoredUnreadable)
		return
	}
	response, err := jsonrpc.ParseResponse(body)
	id, idErr := jsonrpc.ParseID(response.ID)
	if idErr != nil || len(id.Key) < 2 || id.Key[:2] != "s:" {
		d.cfg.Metrics.ignore(ignoredUnreadable)
		return
	}
	answers := d.calls.take(call{tenant, name, id.Key[2:]})
	if answers == nil {
		d.cfg.Metrics.ignore(ignoredNoCall)
		return
	}
	answers <- answer{response: response, err: err, size: len(body)} // has room for one, and gets one
}
