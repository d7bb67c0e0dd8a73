package envelope

import (
	"strings"
	"time"

	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
)

// Park writes a delivered command on to ParkedExchange, from where it comes back to its lane: after
// topology.ParkTTL, or at its deadline if that is sooner. left is the time until then.
func Park(m message.Message, left time.Duration) message.Message {
	headers := make(map[string]any, len(m.Headers))
	for name, value := range m.Headers {
		// Where it was parked before is nobody's business, and the broker drops what it sees going round in circles.
		if name != "x-death" && !strings.HasPrefix(name, "x-first-death-") && name != "x-delivery-count" && name != "CC" && name != "BCC" {
			headers[name] = value
		}
	}
	m.Headers = headers
	m.Exchange = topology.ParkedExchange
	m.Mandatory = true
	m.Transient = false
	m.Expiration = max(min(left, topology.ParkTTL).Truncate(time.Millisecond), time.Millisecond)
	return m
}
