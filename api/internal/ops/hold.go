package ops

import (
	"context"
	"errors"

	"github.com/cupline/cupline/schema/topology"
)

// hold says of the lanes' queues what operators have done about them, as far as that is known.
func (q *Queues) hold(ctx context.Context, queues []Queue) {
	lanes, err := q.lanes(ctx)
	if err != nil {
		return // the figures are worth telling without
	}
	for i := range queues {
		for _, l := range lanes {
			if queues[i].Name == topology.WorkQueue(l.Name) {
				queues[i].Paused, queues[i].Draining = l.Paused, l.Draining
			}
		}
	}
}

// Waiting is how many commands are ready in a lane's queue.
func (q *Queues) Waiting(ctx context.Context, lane string) (int64, error) {
	ready, _, found, err := q.inspect(ctx, topology.WorkQueue(lane))
	if err == nil && !found {
		err = errors.New("the lane has no queue")
	}
	return int64(ready), err
}
