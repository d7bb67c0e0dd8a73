package load

import (
	"context"
	"fmt"
	"time"
)

// lookPause lies between two looks into the inbox: it is how exactly the time is known at which an outcome was there.
const lookPause = 20 * time.Millisecond

// watch settles what comes into the inbox, until the run ends.
func (r *Run) watch(ctx context.Context) {
	books := map[string]*book{}
	for i, client := range r.plan.Clients {
		books[client.ID] = r.books[i]
	}
	look := time.NewTicker(lookPause)
	defer look.Stop()
	for {
		stored, err := r.plan.Inbox.New(ctx)
		if err != nil {
			if ctx.Err() == nil {
				r.fail(fmt.Errorf("look into the inbox: %w", err))
			}
			return
		}
		now := r.now()
		for _, one := range stored {
			if b := books[one.Client]; b != nil {
				b.settle(one.ID, one.ResponseID, one.Reason, true, now)
			}
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}
