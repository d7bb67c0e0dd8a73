package ledger

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// The budget of objects for writing one claim, and one decision, into a batch of 64. They are what it takes now: one more is to be
// meant. What the driver makes of a batch on the connection is its own.
func TestObjectsOfABatch(t *testing.T) {
	const size = 64
	now := time.Now().UTC()
	key := Key{Tenant: "acme", Client: "shop", ID: []byte("s:c-42")}
	for name, one := range map[string]struct {
		budget float64
		op     *operation
	}{
		"claim": {17, &operation{kind: claiming, claim: Claim{
			Key: key, RawID: []byte(`"c-42"`), CommandID: uuid.New(), Token: uuid.New(), Device: "lamp-1", DeviceType: "lamp",
			Method: "relay.set", Lane: "default", Timeout: 5 * time.Second, Accepted: now, Deadline: now.Add(time.Minute),
		}}},
		"decide":  {9, &operation{kind: deciding, decision: Decision{Key: key, CommandID: uuid.New(), Outcome: []byte("{}"), Origin: "device"}}},
		"deliver": {6, &operation{kind: delivering, mark: DeliveredMark{Tenant: "acme", Client: "shop", CommandID: uuid.New()}}},
	} {
		got := testing.AllocsPerRun(100, func() {
			var batch pgx.Batch
			for range size {
				if err := one.op.check(); err != nil {
					t.Fatal(err)
				}
				one.op.queue(&batch)
			}
		}) / size
		t.Logf("%s: %.2f objects", name, got)
		if got > one.budget {
			t.Errorf("%s: %.2f objects, the budget is %g", name, got, one.budget)
		}
	}
}
