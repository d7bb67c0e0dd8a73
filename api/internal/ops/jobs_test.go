package ops_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/cupline/cupline/api/internal/ops"
	"github.com/cupline/cupline/chassis/postgrestest"
	"github.com/cupline/cupline/migrations"
	"github.com/cupline/cupline/store/deadletter"
)

var byAnn = deadletter.Act{Actor: "ann", Reason: "r"}

// No sequence of jobs, pauses, cancels, crashes, restarts and operators' own hands loses a letter, sends one under
// two command ids, or leaves a job without an end.
func TestJobsLoseNothingAndSendNothingTwice(t *testing.T) {
	t.Parallel()
	pool := postgrestest.New(t, func(ctx context.Context, url string) error {
		_, err := migrations.Up(ctx, url)
		return err
	}).Pool(t)
	rapid.Check(t, func(rt *rapid.T) {
		b := &office{bench: newBench(t, rt, pool)}
		b.runner = ops.NewRunner(b.desk, b.letters)
		rt.Repeat(map[string]func(*rapid.T){
			"start":   b.start,
			"work":    b.work,
			"pause":   func(*rapid.T) { b.change(deadletter.JobPaused, deadletter.JobRunning) },
			"resume":  func(*rapid.T) { b.change(deadletter.JobRunning, deadletter.JobPaused) },
			"cancel":  func(*rapid.T) { b.change(deadletter.JobCancelled, deadletter.JobRunning, deadletter.JobPaused) },
			"answer":  b.answer,
			"restart": func(rt *rapid.T) { b.restart(rt); b.expire(rt) },
			"hand":    func(rt *rapid.T) { b.act(rt, rapid.Bool().Draw(rt, "redrive")) },
			"undo":    b.undo,
			"at once": b.atOnce,
			"":        b.check,
		})
		b.end(rt)
		b.check(rt)
		b.report(rt)
	})
}

// office is a bench with jobs.
type office struct {
	*bench
	runner *ops.Runner
	jobs   []uuid.UUID
}

func (b *office) start(rt *rapid.T) {
	kind := rapid.SampledFrom([]string{deadletter.JobRedrive, deadletter.JobRedrive, deadletter.JobDiscard, deadletter.JobUndo}).Draw(rt, "kind")
	j := deadletter.Job{Tenant: b.tenant, Kind: kind, Rate: 500, Actor: "ann", Reason: "r", StopAbove: 100, StopAfter: 1}
	if kind == deadletter.JobRedrive {
		j.Canary = rapid.IntRange(0, 2).Draw(rt, "canary")
		j.StopAbove = rapid.SampledFrom([]int{0, 50, 100}).Draw(rt, "stop above")
	}
	made, err := b.letters.NewJob(context.Background(), j)
	if err != nil {
		rt.Fatal(err)
	}
	b.jobs = append(b.jobs, made.JobID)
}

// work has a worker on one job, perhaps dying on one of its letters.
func (b *office) work(rt *rapid.T) {
	b.wire.meet(fault(rapid.IntRange(0, int(numberFaults)-1).Draw(rt, "fault")), rapid.IntRange(0, 2).Draw(rt, "after"))
	alive(func() { _ = b.runner.RunOne(context.Background(), uuid.New()) }) // it waits where a queue is full; the check judges
	b.wire.meet(fine, 0)
}

// atOnce has two workers and two operators act side by side.
func (b *office) atOnce(*rapid.T) {
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() { _ = b.runner.RunOne(context.Background(), uuid.New()) })
	}
	all.Go(func() { _, _ = b.desk.Redrive(context.Background(), b.tenant, b.ids[0], byAnn, ops.Wish{}) })
	all.Go(func() { _, _ = b.desk.Discard(context.Background(), b.tenant, b.ids[0], byAnn) })
	all.Wait()
}

func (b *office) change(to string, from ...string) {
	for _, id := range b.jobs {
		_ = b.letters.ChangeJob(context.Background(), b.tenant, id, byAnn, to, from...) // refused where its state is another
	}
}

// expire ends the leases of workers that died, and the rest of jobs that wait.
func (b *office) expire(rt *rapid.T) {
	if _, err := b.pool.Exec(context.Background(), "update desk_jobs set leased_until = null where tenant = $1", b.tenant); err != nil {
		rt.Fatal(err)
	}
}

const (
	fineAnswer = `{"jsonrpc":"2.0","id":"c-1","result":1}`
	badAnswer  = `{"jsonrpc":"2.0","id":"c-1","error":{"code":1,"message":"no"}}`
)

// answer has devices answer everything that arrived, some with errors.
func (b *office) answer(rt *rapid.T) {
	response := rapid.SampledFrom([]string{fineAnswer, badAnswer}).Draw(rt, "response")
	if err := errors.Join(b.respond(response), b.runner.Collect(context.Background())); err != nil {
		rt.Fatal(err)
	}
}

// respond decides everything that arrived and is not decided, as a dispatcher does.
func (b *bench) respond(response string) error {
	b.wire.mu.Lock()
	defer b.wire.mu.Unlock()
	for _, commands := range b.wire.arrived {
		for id := range commands {
			_, err := b.pool.Exec(context.Background(), `insert into ledger (tenant, client, id, redrive, command_id, token, digest, device, device_type, method, lane,
				timeout_ms, idempotent, one_way, accepted_at, deadline_at, started_at, outcome, origin, decided_at)
				values ($1, 'web', $2, 1, $3, $3, '', 'lamp-1', 'lamp', 'm', 'default', 1, false, false, now(), now(), now(), $4, 'device', now())
				on conflict do nothing`, b.tenant, id[:], [16]byte(id), []byte(response))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// end lets every job run to its end, without faults.
func (b *office) end(rt *rapid.T) {
	for range 40 {
		b.wire.meet(fine, 0)
		b.restart(rt)
		b.expire(rt)
		b.change(deadletter.JobRunning, deadletter.JobPaused)
		if err := errors.Join(b.respond(fineAnswer), b.runner.Collect(context.Background()), b.runner.RunOne(context.Background(), uuid.New())); err != nil {
			rt.Fatal(err)
		}
		left, err := b.letters.Jobs(context.Background(), deadletter.JobFilter{Tenant: b.tenant, State: deadletter.JobRunning}, uuid.Nil, 100)
		if err != nil {
			rt.Fatal(err)
		}
		if len(left) > 0 {
			continue
		}
		if err := errors.Join(b.respond(fineAnswer), b.runner.Collect(context.Background())); err != nil {
			rt.Fatal(err)
		}
		return
	}
	rt.Fatal("jobs do not end")
}

// report holds what jobs say of their letters to what became of these.
func (b *office) report(rt *rapid.T) {
	states := map[uuid.UUID]deadletter.Letter{}
	for _, l := range b.read(rt) {
		states[l.LetterID] = l
	}
	sent := map[uuid.UUID]int{}
	for _, job := range b.jobs {
		j, err := b.letters.Job(context.Background(), b.tenant, job)
		if err != nil {
			rt.Fatal(err)
		}
		items, err := b.letters.Items(context.Background(), b.tenant, job, 0, 100)
		if err != nil {
			rt.Fatal(err)
		}
		for _, i := range items {
			l := states[i.LetterID]
			if i.Result == "" && j.State == deadletter.JobDone {
				rt.Errorf("job %s is done, and letter %s waits", job, i.LetterID)
			}
			if i.CommandID == uuid.Nil {
				continue
			}
			sent[i.LetterID]++
			if l.RedrivenAs != i.CommandID || l.JobID != job || i.Outcome == "" {
				rt.Errorf("item %+v of job %s, letter %+v", i, job, l)
			}
		}
	}
	for id, n := range sent {
		if n > 1 {
			rt.Errorf("letter %s was sent by %d jobs", id, n)
		}
	}
}

// run starts a job over all letters and works on it until it no longer runs, answering as told.
func (b *office) run(t *testing.T, j deadletter.Job, answer func()) deadletter.Job {
	t.Helper()
	j.Tenant, j.Kind, j.Rate, j.Actor, j.Reason = b.tenant, deadletter.JobRedrive, 500, "ann", "r"
	made, err := b.letters.NewJob(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		_, expired := b.pool.Exec(t.Context(), "update desk_jobs set leased_until = null")
		if err := errors.Join(expired, b.runner.RunOne(t.Context(), uuid.New())); err != nil {
			t.Fatal(err)
		}
		got, err := b.letters.Job(t.Context(), b.tenant, made.JobID)
		if err != nil {
			t.Fatal(err)
		}
		if got.State != deadletter.JobRunning {
			return got
		}
		answer()
		if err := b.runner.Collect(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the job does not end")
	return deadletter.Job{}
}

func newOffice(t *testing.T, letters int) *office {
	t.Helper()
	pool := postgrestest.New(t, func(ctx context.Context, url string) error {
		_, err := migrations.Up(ctx, url)
		return err
	}).Pool(t)
	b := &office{bench: fillBench(t, pool, letters)}
	b.runner = ops.NewRunner(b.desk, b.letters)
	return b
}

// A canary goes first, alone; the rest follows when it did well, and stays where it is when it did not.
func TestCanary(t *testing.T) {
	t.Parallel()
	for response, want := range map[string]struct {
		state   string
		waiting int64
	}{fineAnswer: {deadletter.JobDone, 0}, badAnswer: {deadletter.JobPaused, 8}} {
		t.Run(want.state, func(t *testing.T) {
			t.Parallel()
			b := newOffice(t, 10)
			rounds := 0
			j := b.run(t, deadletter.Job{Canary: 2, StopAbove: 50, StopAfter: 100}, func() {
				if rounds++; rounds < 3 {
					if n := len(b.wire.arrived); n != 2 {
						t.Errorf("%d were sent before the canary's outcomes are known", n)
					}
					return
				}
				if err := b.respond(response); err != nil {
					t.Error(err)
				}
			})
			if j.State != want.state || j.Results[""] != want.waiting || rounds < 3 || (j.Stopped == "") != (want.waiting == 0) {
				t.Errorf("after %d rounds %+v", rounds, j)
			}
			if want.waiting == 0 {
				return
			}
			// An operator may let the rest go all the same.
			if err := b.letters.ChangeJob(t.Context(), b.tenant, j.JobID, byAnn, deadletter.JobRunning, deadletter.JobPaused); err != nil {
				t.Fatal(err)
			}
			if err := b.runner.RunOne(t.Context(), uuid.New()); err != nil {
				t.Fatal(err)
			}
			if j, err := b.letters.Job(t.Context(), b.tenant, j.JobID); err != nil || j.State != deadletter.JobDone || j.Stopped != "" || j.Outcomes[""] != 8 || j.Outcomes[deadletter.OutcomeDeviceError] != 2 {
				t.Errorf("%+v, %v", j, err)
			}
		})
	}
}

// A job stops itself once too many of its outcomes are failures, and not before its minimum is known.
func TestJobStopsItself(t *testing.T) {
	t.Parallel()
	b := newOffice(t, 60) // it stops long before the last of them, however slowly answers come in
	made, err := b.letters.NewJob(t.Context(), deadletter.Job{
		Tenant: b.tenant, Kind: deadletter.JobRedrive, Rate: 2, Actor: "ann", Reason: "r", StopAbove: 40, StopAfter: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var answering sync.WaitGroup
	answering.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if err := errors.Join(b.respond(badAnswer), b.runner.Collect(context.Background())); err != nil {
					t.Error(err)
				}
			case <-stop:
				return
			}
		}
	})
	err = b.runner.RunOne(t.Context(), uuid.New())
	close(stop)
	answering.Wait()
	j, readErr := b.letters.Job(t.Context(), b.tenant, made.JobID)
	if err := errors.Join(err, readErr); err != nil {
		t.Fatal(err)
	}
	if j.State != deadletter.JobPaused || j.Results[""] == 0 || j.Results[deadletter.ItemRedriven] < 2 || j.Stopped == "" {
		t.Errorf("%+v", j)
	}
}

// Where nothing is heard of a canary in its time, the rest does not go.
func TestCanaryThatIsNeverHeardOf(t *testing.T) {
	t.Parallel()
	b := newOffice(t, 3)
	j := b.run(t, deadletter.Job{Canary: 1, StopAbove: 100, StopAfter: 1}, func() {
		if _, err := b.pool.Exec(t.Context(), "update desk_job_items set due_at = now() - interval '1s' where due_at is not null"); err != nil {
			t.Error(err)
		}
	})
	if j.State != deadletter.JobPaused || j.Stopped == "" || j.Results[""] != 2 || j.Outcomes[deadletter.OutcomeUnknown] != 1 {
		t.Errorf("%+v", j)
	}
}
