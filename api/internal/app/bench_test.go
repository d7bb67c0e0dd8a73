package app

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cupline/cupline/schema/topology"
)

// BenchmarkPost is a command from the socket to the broker's confirm and back, many at a time.
func BenchmarkPost(b *testing.B) {
	w := newWorld(b, nil)
	w.laneOf("bench", func(l *topology.Lane) { l.MaxLength = topology.MaxLaneLength })
	w.base.MaxIdleConnsPerHost = 256
	var n atomic.Int64
	b.SetParallelism(64)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			body := fmt.Sprintf(`{"jsonrpc":"2.0","id":"c-%d","method":"host.info"}`, n.Add(1))
			r := must(http.NewRequest("POST", "http://"+w.app.Addr()+"/v1/devices/bench/commands", strings.NewReader(body)))
			r.Header.Set("Authorization", "Bearer "+w.key)
			r.Header.Set("Content-Type", "application/json")
			got, err := w.base.RoundTrip(r)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, got.Body)
			_ = got.Body.Close()
			if got.StatusCode != http.StatusAccepted {
				b.Errorf("status %d", got.StatusCode)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
}
