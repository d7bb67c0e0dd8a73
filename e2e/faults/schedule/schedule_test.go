package schedule_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cupline/cupline/e2e/faults/schedule"
)

func targets() []schedule.Target {
	return []schedule.Target{
		{Name: "api-0"}, {Name: "pusher-0"}, {Name: "api-0 to broker", Class: schedule.Wire}, {Name: "broker", Class: schedule.Server},
		{Name: "api-0 at before-publish", Class: schedule.Point, Of: "api-0"}, {Name: "devices of t", Class: schedule.Tenant}, {Name: "lane l", Class: schedule.Lane}, {Name: "web of t", Class: schedule.Outside}, {Name: "in db", Class: schedule.Database},
		{Name: "disk", Class: schedule.Disk}, {Name: "log", Class: schedule.Log}, {Name: "in broker", Class: schedule.Broker}, {Name: "node", Class: schedule.Node}, {Name: "cluster", Class: schedule.Cluster}, {Name: "between", Class: schedule.Network},
		{Name: "fleet", Class: schedule.Fleet},
	}
}

func TestASeedGivesOnePlan(t *testing.T) {
	t.Parallel()
	first, again := schedule.Draw(7, targets(), time.Hour, nil), schedule.Draw(7, targets(), time.Hour, nil)
	if len(first) < 100 || !reflect.DeepEqual(first, again) {
		t.Errorf("%d faults, then %d others", len(first), len(again))
	}
	if reflect.DeepEqual(first, schedule.Draw(8, targets(), time.Hour, nil)) {
		t.Error("another seed gives the same plan")
	}
}

func TestAnHourBreaksEverythingInEveryWay(t *testing.T) {
	t.Parallel()
	const total = time.Hour
	seen := map[string]int{}
	ends := map[string]time.Duration{}
	for _, f := range schedule.Draw(1, targets(), total, nil) {
		seen[f.Target+" "+string(f.Action)]++
		if f.At >= total || f.For <= 0 || f.At < ends[f.Of] {
			t.Errorf("%s: too late, too short, or while the target is broken until %s", f, ends[f.Of])
		}
		ends[f.Of] = f.At + f.For
	}
	for _, want := range []string{
		"api-0 kill", "api-0 pause", "pusher-0 end", "api-0 to broker cut", "api-0 to broker refuse",
		"api-0 to broker half-open", "api-0 to broker slow", "api-0 to broker trickle", "broker kill", "broker end",
		"node kill", "node end", "node pause", "between partition", "between partition-leader", "between partition-one-way", "between partition-flapping", "cluster kill-leader", "cluster kill-two", "cluster restart-all",
		"api-0 clock-ahead", "api-0 clock-behind", "api-0 to broker answers-lost", "in db database-slow", "in db database-read-only", "in db database-connections",
		"disk database-full", "log database-log-full", "in broker memory-alarm", "in broker disk-alarm", "in broker queue-full", "in broker no-dead-letters",
		"in broker policy", "devices of t tenant-stuck", "lane l lane-stuck", "web of t half-open", "in broker consumer-timeout", "fleet rolling", "fleet scale-dispatchers", "fleet scale-pushers", "fleet retire-pusher", "api-0 at before-publish kill-at", "api-0 at before-publish hold-at",
	} {
		if seen[want] == 0 {
			t.Errorf("never: %s", want)
		}
	}
}

func TestOneKindOfFaultIsDrawnAlone(t *testing.T) {
	t.Parallel()
	only, err := schedule.ParseChoices("kill@api, cut@to broker")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range schedule.Draw(1, targets(), 10*time.Minute, only) {
		seen[f.Target+" "+string(f.Action)] = true
	}
	if len(seen) != 2 || !seen["api-0 kill"] || !seen["api-0 to broker cut"] {
		t.Errorf("drawn: %v", seen)
	}
	if _, err := schedule.ParseChoices("bend"); err == nil || !strings.Contains(err.Error(), "half-open") {
		t.Errorf("an unknown fault: %v", err)
	}
	if plan := schedule.Draw(1, targets(), time.Hour, []schedule.Choice{{Action: schedule.Kill, Target: "nobody"}}); len(plan) > 0 {
		t.Errorf("on nobody: %v", plan)
	}
}

func TestEveryKindOfFaultComesOnceByItself(t *testing.T) {
	t.Parallel()
	plan := schedule.Each(5, targets(), nil, 1)
	seen := map[schedule.Action]bool{}
	for _, f := range plan {
		if seen[f.Action] || f.For <= 0 || f.Target == "" || f.Of == "" {
			t.Errorf("again, or without a target: %s", f)
		}
		seen[f.Action] = true
	}
	if len(seen) != len(schedule.Actions()) || !reflect.DeepEqual(plan, schedule.Each(5, targets(), nil, 1)) {
		t.Errorf("%d kinds of %d, or another plan the second time", len(seen), len(schedule.Actions()))
	}
	only, err := schedule.ParseChoices("kill@pusher")
	if err != nil {
		t.Fatal(err)
	}
	if plan := schedule.Each(5, targets(), only, 1); len(plan) != 1 || plan[0].Target != "pusher-0" {
		t.Errorf("of one kind: %v", plan)
	}
}

func TestRoundsBringTheSameKindsAgain(t *testing.T) {
	t.Parallel()
	only, err := schedule.ParseChoices("lane-stuck,tenant-stuck")
	if err != nil {
		t.Fatal(err)
	}
	var order []schedule.Action
	for _, f := range schedule.Each(5, targets(), only, 2) {
		order = append(order, f.Action)
	}
	if !slices.Equal(order, []schedule.Action{schedule.LaneStuck, schedule.TenantStuck, schedule.LaneStuck, schedule.TenantStuck}) {
		t.Errorf("two rounds are %v", order)
	}
}

func TestEveryFaultComesOnEveryKindOfTarget(t *testing.T) {
	t.Parallel()
	all := append(targets(), schedule.Target{Name: "api-1", Kind: "api"})
	all[0].Kind = "api"
	seen, ends := map[string]int{}, map[string]time.Duration{}
	last := time.Duration(0)
	plan := schedule.Every(5, all, nil)
	for _, f := range plan {
		if seen[string(f.Action)+" "+f.Kind]++; f.At < ends[f.Of] || f.At < last {
			t.Errorf("%s: out of order, or while its target is broken until %s", f, ends[f.Of])
		}
		ends[f.Of], last = f.At+f.For, f.At
	}
	for _, want := range []string{"kill api", "pause api", "clock-ahead api", "kill pusher-0", "trickle api-0 to broker", "trickle web of t", "kill-at api-0 at before-publish", "rolling fleet"} {
		if seen[want] != 1 {
			t.Errorf("%d times: %s", seen[want], want)
		}
	}
	if seen["kill api-0"]+seen["kill api-1"] != 0 || !reflect.DeepEqual(plan, schedule.Every(5, all, nil)) {
		t.Error("two of one kind are told apart, or the seed gives another plan")
	}
}

func TestPartsOfOneThingAreNotBrokenTogether(t *testing.T) {
	t.Parallel()
	parts := []schedule.Target{{Name: "api-0"}, {Name: "api-0 in part", Class: schedule.Point, Of: "api-0"}}
	end := time.Duration(0)
	plan := schedule.Draw(3, parts, time.Hour, nil)
	for _, f := range plan {
		if f.At < end {
			t.Errorf("%s: while the whole is broken until %s", f, end)
		}
		end = f.At + f.For
	}
	if !slices.ContainsFunc(plan, func(f schedule.Fault) bool { return f.Target == "api-0 in part" }) {
		t.Error("the part is never broken")
	}
}
