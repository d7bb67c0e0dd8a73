package ledger_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/store/internal/storetest"
	"github.com/cupline/cupline/store/ledger"
)

// BenchmarkCommand writes a command's whole life: claim, decide, delivered, by 256 at a time, as a
// dispatcher and a pusher would. It reports commands/s, and how many updates stayed on their page.
func BenchmarkCommand(b *testing.B) {
	for _, connections := range []int{1, 2, 4} {
		b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) {
			db := storetest.Database(b)
			pool := storetest.Pool(b, db.URL(), "bench", 4)
			w, err := ledger.NewWriter(pool, ledger.Config{Connections: connections}, nil)
			if err != nil {
				b.Fatal(err)
			}
			if err := w.Start(b.Context()); err != nil {
				b.Fatal(err)
			}
			outcome := []byte(`{"jsonrpc":"2.0","id":"c-42","result":{"load":[0.12,0.34,0.56],"at":"2024-01-01T00:00:00Z"}}`)
			var next atomic.Int64
			var workers sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for range 256 {
				workers.Go(func() {
					for next.Add(1) <= int64(b.N) {
						c := claim("bench", uuid.Must(uuid.NewV7()).String())
						if _, err := w.Claim(b.Context(), c); err != nil {
							b.Error(err)
							return
						}
						if _, won, err := w.Decide(b.Context(), ledger.Decision{
							Key: c.Key, CommandID: c.CommandID, Outcome: outcome, Origin: "device",
						}); err != nil || !won {
							b.Error(won, err)
							return
						}
						if err := w.Delivered(b.Context(), []ledger.DeliveredMark{{
							Tenant: c.Tenant, Client: c.Client, CommandID: c.CommandID,
						}}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			workers.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
			if err := w.Stop(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// claim makes a claim of a new command under that id.
func claim(client, id string) ledger.Claim {
	now := time.Now().Truncate(time.Millisecond).UTC()
	return ledger.Claim{
		Key:   ledger.Key{Tenant: "acme", Client: client, ID: []byte("s:" + id)},
		RawID: []byte(`"` + id + `"`), CommandID: uuid.Must(uuid.NewV7()), Token: uuid.New(),
		Digest: [32]byte{1}, Device: "lamp-1", DeviceType: "lamp", Method: "relay.set", Lane: "default",
		Timeout: 5 * time.Second, Accepted: now, Deadline: now.Add(time.Minute),
	}
}
