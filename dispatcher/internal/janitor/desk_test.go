package janitor_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/drain"
	"github.com/cupline/cupline/store/erasure"
)

// remark notes something on a letter and on its group, and marks both.
func (h *house) remark(tenant string, letter uuid.UUID) (group uuid.UUID) {
	h.t.Helper()
	s := deadletter.New(h.pool)
	l, err := s.Get(h.t.Context(), tenant, letter)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, on := range []deadletter.Subject{{Tenant: tenant, ID: letter}, {Tenant: tenant, ID: l.Group, IsGroup: true}} {
		act := deadletter.Act{Actor: "ann", Reason: "a secret"}
		if _, err := s.AddNote(h.t.Context(), on, act); err != nil {
			h.t.Fatal(err)
		}
		if _, err := s.Mark(h.t.Context(), on, act, deadletter.MarkChange{Add: []string{"vip"}}); err != nil {
			h.t.Fatal(err)
		}
	}
	return l.Group
}

func (h *house) want(sqls map[string]int64) {
	h.t.Helper()
	for sql, want := range sqls {
		if n := h.count(sql); n != want {
			h.t.Errorf("%s: %d, want %d", sql, n, want)
		}
	}
}

// What operators wrote goes with the letter, or the last letter of the group, that it stands on; who settled and drained what, with time.
func TestRetentionOfWhatTheDeskKeeps(t *testing.T) {
	t.Parallel()
	h := open(t)
	alone := h.letter("acme", "web", deadletter.Discarded, 31*day) // of a group that goes with it
	h.do(`update dead_letters set detail = 'of its own' where tenant = 'acme'`)
	h.remark("acme", alone)
	kept := h.remark("acme", h.letter("acme", "web", deadletter.Open, 31*day))
	h.do(`insert into desk_settlements (tenant, command_id, at, actor, reason) values
		('acme', gen_random_uuid(), now() - interval '25 hours', '', ''), ('acme', gen_random_uuid(), now(), '', '')`)
	h.do(`insert into lane_drains (drain_id, lane, state, rate, actor, reason, finished_at) values
		(gen_random_uuid(), 'default', 'done', 1, '', '', now() - interval '91 days'), (gen_random_uuid(), 'default', 'done', 1, '', '', now() - interval '89 days'),
		(gen_random_uuid(), 'default', 'running', 1, '', '', null)`)
	h.do(`insert into erasures (tenant, erasure_id, client, state, actor, reason, finished_at) values
		('acme', gen_random_uuid(), 'x', 'done', '', '', now() - interval '91 days'), ('acme', gen_random_uuid(), 'x', 'done', '', '', now())`)
	if err := h.janitor(topology.Lane{MaxTTL: time.Hour}).Retain(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.want(map[string]int64{
		`select count(*) from dead_letters`: 1, `select count(*) from dead_letter_facets`: 1, `select count(*) from desk_settlements`: 1,
		`select count(*) from lane_drains`: 2, `select count(*) from erasures`: 1,
		`select count(*) from desk_notes`: 2, `select count(*) from desk_marks`: 2,
	})
	if n := h.count(`select count(*) from desk_notes where subject = $1`, [16]byte(kept)); n != 1 {
		t.Error("the note on a group that has a letter is gone")
	}
	if drains, err := drain.New(h.pool).List(t.Context(), uuid.Nil, 10); err != nil || len(drains) != 2 {
		t.Errorf("%v, %v", drains, err)
	}
}

// A letter's notes are erased with it; those on groups, which are no client's, with the whole tenant.
func TestErasureOfWhatOperatorsWrote(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.remark("acme", h.letter("acme", "web", deadletter.Open, time.Hour))
	h.remark("acme", h.letter("acme", "app", deadletter.Open, time.Hour))
	h.remark("other", h.letter("other", "web", deadletter.Open, time.Hour))
	s := erasure.New(h.pool)
	if _, err := s.Request(t.Context(), "acme", "web", "ann", "asked by letter"); err != nil {
		t.Fatal(err)
	}
	h.run(h.janitor())
	h.waitFor("the client's first round", `select count(*) from erasures where state = 'waiting' and client = 'web' and letters = 1`)
	const notes, marks = `select count(*) from desk_notes where tenant = 'acme'`, `select count(*) from desk_marks where tenant = 'acme'`
	h.want(map[string]int64{notes: 3, marks: 2}) // app's, and two on the group; app's, and the group's
	if _, err := s.Request(t.Context(), "acme", "", "ann", "they left"); err != nil {
		t.Fatal(err)
	}
	h.waitFor("the tenant's first round", `select count(*) from erasures where state = 'waiting' and client = ''`)
	h.want(map[string]int64{notes: 0, marks: 0, `select count(*) from desk_notes where tenant = 'other'`: 2})
}

// Letters come while facets are tidied: none is left without its facet, by which lists find it.
func TestNoLetterLosesItsFacet(t *testing.T) {
	t.Parallel()
	h := open(t)
	stop := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		s := deadletter.New(h.pool)
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			// Writers may be too busy for it.
			if _, _, err := s.TidyFacets(t.Context(), "acme", uuid.Nil, 10); err != nil && !errors.Is(err, store.ErrUnavailable) {
				done <- err
				return
			}
		}
	}()
	for range 200 {
		h.letter("acme", "web", deadletter.Open, time.Hour)
		h.want(map[string]int64{`select count(*) from dead_letters where (tenant, group_id, executed, lane) not in
			(select tenant, group_id, executed, lane from dead_letter_facets)`: 0})
		h.do(`delete from dead_letters`)
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
	h.do(`delete from dead_letter_facets`)
}

// What stays open is found by the janitor, once it is an hour old, and forgotten when it is decided after all.
func TestWhatStaysOpenIsFound(t *testing.T) {
	t.Parallel()
	h := open(t)
	for range 3 {
		h.command("acme", "web", true, 2*time.Hour)
		h.command("acme", "web", false, 2*time.Hour)
		h.command("acme", "web", false, 30*time.Minute)
	}
	lane := topology.Lane{MaxTTL: time.Hour}
	stop := h.run(h.janitor(lane))
	const noted = `select (count(*) = 3)::int from commands_left_open`
	h.waitFor("those that are old enough", noted)
	h.do(`update ledger set outcome = '{}', decided_at = now() where client = 'web' and created_at < now() - interval '1 hour'`)
	h.waitFor("none of them is left", `select (count(*) = 0)::int from commands_left_open`)
	// Nobody looks meanwhile: a look under way would write how far it came over how far it is to go back.
	stop()
	h.command("acme", "web", false, 59*time.Minute)
	h.do(`update ledger set created_at = created_at - interval '31 minutes' where outcome is null`)
	h.do(`update ledger_watch set until = now() - interval '3 hours'`)
	stop = h.run(h.janitor(lane))
	h.waitFor("what has become old enough", `select (count(*) = 4)::int from commands_left_open`)
	stop()
}
