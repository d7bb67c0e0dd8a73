package load

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cupline/cupline/schema/jsonrpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is far more than any run here takes.
const patience = time.Minute

// finish starts the run, waits for its limit, and stops it.
func finish(t *testing.T, r *Run) error {
	t.Helper()
	return finishWithout(t, r, 0)
}

// finishWithout is finish of a run in which so many commands never come to an end: they are given up when all others have.
func finishWithout(t *testing.T, r *Run, lost int) error {
	t.Helper()
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case <-r.Over():
	case <-ctx.Done():
	}
	for lost > 0 && ctx.Err() == nil {
		if r.Done() == int64(r.plan.Limit-lost) {
			cancel()
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Millisecond):
		}
	}
	return r.Stop(ctx)
}

func TestClosedLoop(t *testing.T) {
	t.Parallel()
	for _, batch := range []int{1, 10} {
		p := newPeer(t, wellBehaved)
		plan := p.plan(3)
		plan.Batch = batch
		began := time.Now()
		r := New(plan)
		if err := finish(t, r); err != nil {
			t.Fatal(err)
		}
		tally, latencies := r.Tally(), r.Latencies(began, time.Now())
		if r.Done() != 200 || tally.Accepted != 200 || tally.Outcomes != 200 || len(latencies.Outcome) != 200 || len(latencies.Answer) != 200 {
			t.Errorf("batches of %d: %d done, %+v, %d latencies", batch, r.Done(), tally, len(latencies.Outcome))
		}
		p.closed.Wait()
		for client, s := range p.sockets {
			if s.acked != s.seq || !s.saidBye {
				t.Errorf("%s acked %d of %d, said bye %t", client, s.acked, s.seq, s.saidBye)
			}
		}
		// A second run goes on with ids of its own.
		if err := finish(t, New(plan)); err != nil {
			t.Errorf("a second run: %v", err)
		}
		if sum := plan.Clients[0].next + plan.Clients[1].next + plan.Clients[2].next; sum != 400 {
			t.Errorf("the clients have counted %d ids", sum)
		}
	}
}

// The rate is kept, whatever comes back.
func TestOpenLoopRate(t *testing.T) {
	t.Parallel()
	p := newPeer(t, wellBehaved)
	plan := p.plan(2)
	plan.Rate, plan.Limit = 400, 100
	r := New(plan)
	began := time.Now()
	if err := finish(t, r); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); r.Tally().Outcomes != 100 || took < 245*time.Millisecond {
		t.Errorf("%d outcomes in %s", r.Tally().Outcomes, took)
	}
	// What fell due in the first tenth of a second: 40 commands, or 41, as the first was due at once.
	first := r.epoch.Add(firstDue(r))
	if n := len(r.Latencies(first, first.Add(100*time.Millisecond)).Outcome); n < 40 || n > 41 {
		t.Errorf("%d commands fell due in 100 ms", n)
	}
}

// firstDue is when the first command was due, since the run's begin: connecting comes before, however long it takes.
func firstDue(r *Run) time.Duration {
	first := time.Duration(math.MaxInt64)
	for _, b := range r.books {
		for _, c := range b.commands {
			first = min(first, c.due)
		}
	}
	return first
}

// A platform that stalls for a moment holds up all that falls due meanwhile, and all of it has to show: with one
// connection, only the first would, were latency counted from the sending.
func TestOpenLoopOmitsNothing(t *testing.T) {
	t.Parallel()
	const stall = 300 * time.Millisecond
	p := newPeer(t, func(p *peer, client string, ids []int64, w http.ResponseWriter) {
		if ids[0] == 20 {
			<-time.After(stall)
		}
		wellBehaved(p, client, ids, w)
	})
	plan := p.plan(1)
	plan.Rate, plan.Limit, plan.Workers = 200, 100, 1
	r := New(plan)
	if err := finish(t, r); err != nil {
		t.Fatal(err)
	}
	late := 0
	for _, latency := range r.Latencies(r.epoch, time.Now()).Outcome {
		if latency > stall/2 {
			late++
		}
	}
	// 60 fell due in the 300 ms, half of them in the first half of it.
	if late < 25 {
		t.Errorf("only %d commands show a stall of %s", late, stall)
	}
}

// Nothing that is lost, doubled, wrong or refused may pass for a figure.
func TestWhatMustNotHappen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script func(p *peer, client string, ids []int64, w http.ResponseWriter)
		batch  int
		lost   int // commands that never come to an end
		want   string
	}{
		"missing": {want: "1 outcomes are missing", lost: 1, script: func(p *peer, client string, ids []int64, w http.ResponseWriter) {
			if ids[0] == 7 {
				acceptAll(w, ids)
				return
			}
			wellBehaved(p, client, ids, w)
		}},
		"doubled": {want: "1 outcomes came twice", script: func(p *peer, client string, ids []int64, w http.ResponseWriter) {
			if ids[0] == 7 {
				p.push(client, ids...)
			}
			wellBehaved(p, client, ids, w)
		}},
		"stray": {want: "1 outcomes came for commands that were not accepted", script: func(p *peer, client string, ids []int64, w http.ResponseWriter) {
			if ids[0] == 7 {
				p.push(client, 1_000_000)
			}
			wellBehaved(p, client, ids, w)
		}},
		"wrong": {want: "1 outcomes answer another command", script: func(p *peer, client string, ids []int64, w http.ResponseWriter) {
			if ids[0] == 7 {
				p.pushResponses(client, ids, []string{`{"jsonrpc":"2.0","id":8,"result":{}}`})
				acceptAll(w, ids)
				return
			}
			wellBehaved(p, client, ids, w)
		}},
		"failed": {want: "1 commands ended as device_busy", script: func(p *peer, client string, ids []int64, w http.ResponseWriter) {
			if ids[0] == 7 {
				p.pushResponses(client, ids, []string{`{"jsonrpc":"2.0","id":7,"error":{"code":-32018,"message":"","data":{"reason":"device_busy"}}}`})
				acceptAll(w, ids)
				return
			}
			wellBehaved(p, client, ids, w)
		}},
		"refused": {want: "commands were not accepted, by status map[503:1]; the first answer: 503 queue full", script: func(p *peer, client string, ids []int64, w http.ResponseWriter) {
			if ids[0] == 7 {
				http.Error(w, "queue full", http.StatusServiceUnavailable)
				return
			}
			wellBehaved(p, client, ids, w)
		}},
		"refused in a batch": {batch: 2, want: "not accepted, by status map[202:1]", script: func(p *peer, client string, ids []int64, w http.ResponseWriter) {
			if ids[0] == 7 {
				w.WriteHeader(http.StatusAccepted)
				fmt.Fprintf(w, `{"items":[{"state":"refused","id":7},{"state":"accepted","id":8}]}`)
				p.push(client, 8)
				return
			}
			wellBehaved(p, client, ids, w)
		}},
		"outcome of a refused one": {want: "1 outcomes came for commands that were not accepted", script: func(p *peer, client string, ids []int64, w http.ResponseWriter) {
			if ids[0] == 7 {
				p.push(client, ids...)
				http.Error(w, "queue full", http.StatusServiceUnavailable)
				return
			}
			wellBehaved(p, client, ids, w)
		}},
		"broken socket": {want: "a client's socket broke", script: func(p *peer, client string, ids []int64, w http.ResponseWriter) {
			if ids[0] == 7 {
				_ = p.sockets[client].conn.NetConn().Close()
				acceptAll(w, ids)
				return
			}
			wellBehaved(p, client, ids, w)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, c.script)
			plan := p.plan(1)
			plan.Limit, plan.Batch = 20, max(c.batch, 1)
			plan.Workers = 2
			if err := finishWithout(t, New(plan), c.lost); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestPlanIsChecked(t *testing.T) {
	t.Parallel()
	p := newPeer(t, wellBehaved)
	for name, spoil := range map[string]func(*Plan){
		"no clients": func(p *Plan) { p.Clients = nil }, "no devices": func(p *Plan) { p.Devices = nil },
		"no batch": func(p *Plan) { p.Batch = 0 }, "no workers": func(p *Plan) { p.Workers = 0 },
		"no limit": func(p *Plan) { p.Limit = 0 }, "a negative rate": func(p *Plan) { p.Rate = -1 },
	} {
		plan := p.plan(1)
		spoil(&plan)
		if err := New(plan).Start(t.Context()); err == nil {
			t.Errorf("a plan with %s was taken", name)
		}
	}
	nobody := p.plan(1)
	nobody.Push = []string{"ws://127.0.0.1:1/v1/connect"}
	if err := New(nobody).Start(t.Context()); err == nil {
		t.Error("a run began without its clients' sockets")
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	one := appendBody(nil, 9_007_199_254_740_991, 1, "relay.set", 256)
	if r, err := jsonrpc.ParseRequest(one); err != nil || len(one) != 256 || string(r.ID.Raw) != "9007199254740991" {
		t.Errorf("%s: %v", one, err)
	}
	if short := appendBody(nil, 1, 1, "m", 1); !json.Valid(short) {
		t.Errorf("%s", short)
	}
	many, batch, err := jsonrpc.ParseBatch(appendBody(nil, 41, 50, "relay.set", 256))
	if err != nil || !batch || len(many) != 50 || string(many[49].ID.Raw) != "90" {
		t.Errorf("%d requests: %v", len(many), err)
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		answer string
		err    error
		count  int
		want   []fate
	}{
		{202, "", nil, 1, []fate{accepted}},
		{503, "", nil, 2, []fate{refused, refused}},
		{504, "", nil, 2, []fate{doubtful, doubtful}},
		{500, "", nil, 1, []fate{doubtful}},
		{0, "", errNotSent, 1, []fate{refused}},
		{0, "", context.DeadlineExceeded, 1, []fate{doubtful}},
		{202, `{"items":[{"state":"accepted"},{"state":"in_doubt"},{"state":"refused"}]}`, nil, 3, []fate{accepted, doubtful, refused}},
		{202, `{"items":[{"state":"accepted"}]}`, nil, 2, []fate{doubtful, doubtful}},
		{202, `{`, nil, 2, []fate{doubtful, doubtful}},
	} {
		if got := judge(c.status, []byte(c.answer), c.err, c.count); !slices.Equal(got, c.want) {
			t.Errorf("%d %s %v: got %v, want %v", c.status, c.answer, c.err, got, c.want)
		}
	}
}

func BenchmarkFrame(b *testing.B) {
	line := []byte(`{"type":"outcome","seq":12,"id":42,"command_id":"01908c3e-7d2a-7000-8000-000000000001","redrive":0,"device":"device-7",` +
		`"method":"relay.set","at":"2026-03-01T12:00:30.25Z","origin":"device","source":"live","response":{"jsonrpc":"2.0","id":42,"result":{}}}`)
	s := &socket{book: newBook(1, newPending()), news: make(chan struct{}, 1)}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.take(line, 0); err != nil {
			b.Fatal(err)
		}
	}
}

// inbox hands out what the peer has accepted.
type inbox struct{ stored chan Stored }

func (i inbox) New(context.Context) (all []Stored, err error) {
	for {
		select {
		case one := <-i.stored:
			all = append(all, one)
		default:
			return all, nil
		}
	}
}

// Clients that are not connected have their outcomes in an inbox, or no more than the answer.
func TestWithoutSockets(t *testing.T) {
	t.Parallel()
	in := inbox{stored: make(chan Stored, 1000)}
	p := newPeer(t, func(_ *peer, client string, ids []int64, w http.ResponseWriter) {
		for _, id := range ids {
			in.stored <- Stored{Client: client, ID: id, ResponseID: id}
		}
		w.WriteHeader(http.StatusAccepted)
	})
	plan := p.plan(2)
	plan.Push, plan.Inbox = nil, in
	r := New(plan)
	if err := finish(t, r); err != nil {
		t.Fatal(err)
	}
	if tally := r.Tally(); tally.Outcomes != 200 || tally.Mailbox != 200 {
		t.Errorf("%+v", tally)
	}
	plan.Inbox, plan.AnswerIsEnd = nil, true
	r = New(plan)
	if err := finish(t, r); err != nil || r.Tally().Outcomes != 200 {
		t.Errorf("%+v, %v", r.Tally(), err)
	}
	plan.AnswerIsEnd = false
	if err := New(plan).Start(t.Context()); err == nil {
		t.Error("a load without an end began")
	}
}

// A slow client acks once in its pause, and all in the end.
func TestSlowClient(t *testing.T) {
	t.Parallel()
	p := newPeer(t, wellBehaved)
	plan := p.plan(1)
	plan.Slow, plan.SlowPause = 1, time.Hour
	r := New(plan)
	if err := finish(t, r); err != nil {
		t.Fatal(err)
	}
	p.closed.Wait()
	for client, s := range p.sockets {
		if s.acked != 200 || s.acks > 2 {
			t.Errorf("%s acked %d in %d frames", client, s.acked, s.acks)
		}
	}
}

// A backlog is posted without waiting for its outcomes.
func TestPosted(t *testing.T) {
	t.Parallel()
	p := newPeer(t, func(_ *peer, _ string, _ []int64, w http.ResponseWriter) { w.WriteHeader(http.StatusAccepted) })
	plan := p.plan(1)
	plan.Rate = 1e9
	r := New(plan)
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := r.Posted(ctx); err != nil {
		t.Error(err)
	}
	none, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Stop(none); err == nil || !strings.Contains(err.Error(), "200 outcomes are missing") {
		t.Errorf("got %v", err)
	}
}
