package deadletter_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/internal/storetest"
)

func TestJobBelongsToOneAtATime(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	s := deadletter.New(pool)
	first := bury(t, s, nil)
	bury(t, s, func(l *deadletter.Letter) { l.Device = "door" })
	bury(t, s, func(l *deadletter.Letter) { l.Tenant = "other" })
	made, err := s.NewJob(t.Context(), deadletter.Job{
		Tenant: "acme", Kind: deadletter.JobDiscard, Filter: deadletter.Filter{Device: "lamp-1"}, Rate: 1, Actor: "ann", Reason: "old",
	})
	if err != nil || made.Total != 1 || made.State != deadletter.JobRunning {
		t.Fatalf("%+v, %v", made, err)
	}
	bury(t, s, nil) // too late to be chosen
	one, two := uuid.New(), uuid.New()
	leased, found, err := s.LeaseJob(t.Context(), one)
	if err != nil || !found || leased.JobID != made.JobID || leased.Filter != made.Filter {
		t.Fatalf("%+v, %v, %v", leased, found, err)
	}
	if _, found, err := s.LeaseJob(t.Context(), two); found || err != nil {
		t.Errorf("leased twice: %v", err)
	}
	if mine, err := s.RenewJob(t.Context(), &leased, two); mine || err != nil {
		t.Errorf("renewed by another: %v", err)
	}
	items, err := s.Waiting(t.Context(), &leased, 10)
	if err != nil || len(items) != 1 || items[0].LetterID != first {
		t.Fatalf("%+v, %v", items, err)
	}
	for _, result := range []string{deadletter.ItemDiscarded, deadletter.ItemSkipped} { // the first word stands
		if err := s.Report(t.Context(), &leased, items[0].Position, result, "", uuid.Nil, 0); err != nil {
			t.Error(err)
		}
	}
	if err := s.ChangeJob(t.Context(), "acme", made.JobID, byAnn, deadletter.JobPaused, deadletter.JobRunning); err != nil {
		t.Error(err)
	}
	if mine, err := s.RenewJob(t.Context(), &leased, one); mine || err != nil {
		t.Errorf("renewed while paused: %v", err)
	}
	var state *deadletter.JobError
	if err := s.ChangeJob(t.Context(), "acme", made.JobID, byAnn, deadletter.JobPaused, deadletter.JobRunning); !errors.As(err, &state) || state.State != deadletter.JobPaused {
		t.Errorf("paused twice: %v", err)
	}
	if err := s.ChangeJob(t.Context(), "other", made.JobID, byAnn, deadletter.JobCancelled, deadletter.JobPaused); !errors.Is(err, deadletter.ErrNoJob) {
		t.Errorf("another tenant's: %v", err)
	}
	got, err := s.Job(t.Context(), "acme", made.JobID)
	if err != nil || got.State != deadletter.JobPaused || got.Results[deadletter.ItemDiscarded] != 1 || len(got.Results) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := s.Job(t.Context(), "other", made.JobID); !errors.Is(err, deadletter.ErrNoJob) {
		t.Errorf("another tenant's: %v", err)
	}
}
