package schedule_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/cupline/cupline/e2e/faults/schedule"
)

func targets() []schedule.Target {
	return []schedule.Target{
		{Name: "api-0"}, {Name: "pusher-0"}, {Name: "api-0 to broker", Class: schedule.Wire}, {Name: "broker", Class: schedule.Server},
		{Name: "node", Class: schedule.Node}, {Name: "anchor", Class: schedule.Anchor},
	}
}

func TestASeedGivesOnePlan(t *testing.T) {
	t.Parallel()
	first, again := schedule.Draw(7, targets(), time.Hour), schedule.Draw(7, targets(), time.Hour)
	if len(first) < 100 || !reflect.DeepEqual(first, again) {
		t.Errorf("%d faults, then %d others", len(first), len(again))
	}
	if reflect.DeepEqual(first, schedule.Draw(8, targets(), time.Hour)) {
		t.Error("another seed gives the same plan")
	}
}

func TestAnHourBreaksEverythingInEveryWay(t *testing.T) {
	t.Parallel()
	const total = time.Hour
	seen := map[string]int{}
	ends := map[string]time.Duration{}
	for _, f := range schedule.Draw(1, targets(), total) {
		seen[f.Target+" "+string(f.Action)]++
		if f.At >= total || f.For <= 0 || f.At < ends[f.Target] {
			t.Errorf("%s: too late, too short, or while the target is broken until %s", f, ends[f.Target])
		}
		ends[f.Target] = f.At + f.For
	}
	if seen["anchor kill"]+seen["anchor end"] > 0 {
		t.Error("the anchor is ended")
	}
	for _, want := range []string{
		"api-0 kill", "api-0 pause", "pusher-0 end", "api-0 to broker cut", "api-0 to broker refuse",
		"api-0 to broker half-open", "api-0 to broker slow", "api-0 to broker trickle", "broker kill", "broker end",
		"node kill", "node end", "node pause", "anchor pause",
	} {
		if seen[want] == 0 {
			t.Errorf("never: %s", want)
		}
	}
}
