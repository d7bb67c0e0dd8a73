package mailbox_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/cupline/cupline/store/internal/storetest"
	"github.com/cupline/cupline/store/mailbox"
)

// BenchmarkPut stores batches of 64 outcomes for 16 clients; BenchmarkDrain fetches windows of 64 and acks them.
func BenchmarkPut(b *testing.B) {
	s := mailbox.New(storetest.Database(b).Pool(b), mailbox.Limits{Outcomes: 1 << 40, Bytes: 1 << 40})
	b.ReportAllocs()
	for b.Loop() {
		batch := make([]mailbox.Item, 64)
		for i := range batch {
			batch[i] = item(fmt.Sprint("client-", i%16), `{"jsonrpc":"2.0","id":"c-42","result":{"load":[0.12,0.34,0.56]}}`)
			batch[i].CommandID = uuid.Must(uuid.NewV7())
		}
		put(b, s, batch...)
	}
	b.ReportMetric(float64(64*b.N)/b.Elapsed().Seconds(), "outcomes/s")
}

func BenchmarkDrain(b *testing.B) {
	s := mailbox.New(storetest.Database(b).Pool(b), mailbox.Limits{Outcomes: 1 << 40, Bytes: 1 << 40})
	put(b, s, items("web", 9_000)...)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		got, waiting, err := s.Fetch(b.Context(), "acme", "web", nil, 64, 256<<10)
		if err != nil {
			b.Fatal(err)
		}
		ack(b, s, got...)
		if waiting < 128 {
			b.StopTimer()
			put(b, s, items("web", 9_000)...)
			b.StartTimer()
		}
	}
	b.ReportMetric(float64(64*b.N)/b.Elapsed().Seconds(), "outcomes/s")
}
