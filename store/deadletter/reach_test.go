package deadletter_test

import (
	"slices"
	"testing"
	"time"

	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/internal/storetest"
)

// reachLetters is the number of letters that the desk is held to.
const reachLetters = 1_000_000

// BenchmarkReach asks what operators ask, of a million letters of one tenant over 30 days, and
// reports the 95th percentile of each question.
func BenchmarkReach(b *testing.B) {
	pool := storetest.Database(b).Pool(b)
	conn, err := pool.Acquire(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(b.Context(), "set statement_timeout = 0"); err != nil { // a million takes its time
		b.Fatal(err)
	}
	if _, err := conn.Exec(b.Context(), `insert into dead_letters (tenant, letter_id, identity, command_id, client, device, device_type,
		method, lane, id, redrive, reason, executed, detail, state, payload, properties, headers, deaths, digest, died_at)
		select 'acme', u, uuid_send(u), u, 'client-' || n % 5000, 'device-' || n % 20000, 'type-' || n % 5, 'method-' || n % 20,
			'default', '"c-1"', 0, (array['expired', 'no_answer', 'device_offline', 'worker_lost', 'bad_answer'])[1 + n % 5],
			case n % 5 when 0 then 'no' else 'maybe' end, 'attempt ' || n || ' failed', case when n % 10 < 7 then 'open' else 'redriven' end,
			'{"jsonrpc":"2.0","id":"c-1","method":"m"}', '{}', '{}', '[]', '', now() - n * interval '2.592 seconds'
		from (select n, gen_random_uuid() as u from generate_series(1, $1) n) s`, reachLetters); err != nil {
		b.Fatal(err)
	}
	if _, err := conn.Exec(b.Context(), `vacuum analyze dead_letters`); err != nil {
		b.Fatal(err)
	}
	s := deadletter.New(pool)
	find := func(f deadletter.Filter, sort deadletter.Sort) func() error {
		f.Tenant = "acme"
		return func() error {
			_, err := s.Find(b.Context(), f, sort, nil, 100)
			return err
		}
	}
	groups := func(f deadletter.Filter) func() error {
		f.Tenant = "acme"
		return func() error {
			_, err := s.Groups(b.Context(), f, 100)
			return err
		}
	}
	for _, question := range []struct {
		name string
		ask  func() error
	}{
		{"newest", find(deadletter.Filter{}, deadletter.Newest)},
		{"open", find(deadletter.Filter{State: deadletter.Open}, deadletter.Newest)},
		{"device", find(deadletter.Filter{Device: "device-77"}, deadletter.Newest)},
		{"device+state", find(deadletter.Filter{Device: "device-77", State: deadletter.Open}, deadletter.Newest)},
		{"reason+method", find(deadletter.Filter{Reason: "no_answer", Method: "method-6"}, deadletter.Newest)},
		{"reason+method none", find(deadletter.Filter{Reason: "no_answer", Method: "method-7"}, deadletter.Newest)},
		{"client+device", find(deadletter.Filter{Client: "client-77", Device: "device-77"}, deadletter.Newest)},
		{"by device", find(deadletter.Filter{}, "device")},
		{"text none", find(deadletter.Filter{Text: "nowhere"}, deadletter.Newest)},
		{"groups hour", groups(deadletter.Filter{From: time.Now().Add(-time.Hour)})},
		{"groups day", groups(deadletter.Filter{From: time.Now().Add(-24 * time.Hour)})},
		{"groups all", groups(deadletter.Filter{})},
	} {
		b.Run(question.name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				if err := question.ask(); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
		})
	}
}
