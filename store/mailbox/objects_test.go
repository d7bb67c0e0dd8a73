package mailbox

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// The budget of objects for writing one outcome into a batch of 64 for 16 clients. It is what it takes now: one more is to be
// meant. What the driver makes of a batch on the connection is its own.
func TestObjectsOfABatch(t *testing.T) {
	const size, budget = 64, 16
	s := New(nil, Limits{Outcomes: 1 << 40, Bytes: 1 << 40})
	items, boxes, now := make([]Item, size), map[box]*Counts{}, time.Now().UTC()
	for i := range items {
		items[i] = Item{
			Tenant: "acme", Client: string(rune('a' + i%16)), CommandID: uuid.New(), RawID: []byte(`"c-42"`), Device: "lamp-1", Method: "relay.set",
			Lane: "default", Origin: "device", Accepted: now, At: now, Response: []byte(`{"jsonrpc":"2.0","id":"c-42","result":{}}`),
		}
		boxes[box{items[i].Tenant, items[i].Client}] = &Counts{}
	}
	got := testing.AllocsPerRun(100, func() {
		var batch pgx.Batch
		s.queueItems(&batch, items, make([]PutResult, size), boxes)
	}) / size
	t.Logf("%.2f objects", got)
	if got > budget {
		t.Errorf("an outcome takes %.2f objects, the budget is %d", got, budget)
	}
}
