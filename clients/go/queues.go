package cupline

import (
	"context"
	"net/http"
	"time"

	"github.com/cupline/cupline/schema/topology"
)

// Queue is one of the broker's queues. Nil is not known.
type Queue struct {
	Name          string     `json:"queue"`
	Kind          string     `json:"kind"`
	Ready         int64      `json:"ready"`
	Unacked       *int64     `json:"unacked"`
	Consumers     int        `json:"consumers"`
	PublishRate   *float64   `json:"publish_rate"`
	AckRate       *float64   `json:"ack_rate"`
	DeadLettering *int64     `json:"dead_lettering"`
	OldestAt      *time.Time `json:"oldest_at"`
	State         string     `json:"state,omitempty"`
	// Paused is why nothing is taken from a lane's queue; Draining that it goes to the recorder.
	Paused   *topology.Pause `json:"paused,omitempty"`
	Draining bool            `json:"draining,omitempty"`
}

// Queues is all of them at one moment.
type Queues struct {
	// Source is "management", or "declare" when only depth and consumers are known.
	Source  string  `json:"source"`
	Queues  []Queue `json:"queues"`
	Missing string  `json:"missing,omitempty"`
}

// BrokerQueues reads the broker's queues.
func (c *Client) BrokerQueues(ctx context.Context) (q Queues, err error) {
	err = c.do(ctx, request{method: http.MethodGet, path: "/v1/queues"}, &q)
	return q, err
}
