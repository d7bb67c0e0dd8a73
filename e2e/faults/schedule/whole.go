package schedule

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Each makes a plan of every kind of fault, each on one of its targets, as many times over as rounds says. They are for
// one after the other, each when the one before is over; so none says when it begins.
func Each(seed uint64, targets []Target, only []Choice, rounds int) (plan []Fault) {
	random := rand.New(rand.NewPCG(seed, 0))
	menu := newMenu(targets, only)
	for range rounds {
		for _, action := range Actions() {
			var ways []way
			var open []Target
			for _, t := range targets {
				for _, w := range menu.ways[t.Name] {
					if w.action == action {
						ways, open = append(ways, w), append(open, t)
					}
				}
			}
			if len(open) == 0 {
				continue
			}
			at := random.IntN(len(open))
			fault := ways[at].fault(random, open[at], 0)
			fault.For = ways[at].most
			plan = append(plan, fault)
		}
	}
	return plan
}

// Every makes a plan of every fault on every kind of target, once each, in an order that the seed gives. They overlap as
// those of Draw do.
func Every(seed uint64, targets []Target, only []Choice) (plan []Fault) {
	type pair struct {
		action Action
		kind   string
	}
	type card struct {
		target Target
		way    way
	}
	random := rand.New(rand.NewPCG(seed, 0))
	menu := newMenu(targets, only)
	like := map[pair][]card{}
	var deck []pair
	for _, t := range targets {
		for _, w := range menu.ways[t.Name] {
			p := pair{w.action, t.kind()}
			if like[p] == nil {
				deck = append(deck, p)
			}
			like[p] = append(like[p], card{t, w})
		}
	}
	random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
	free := map[string]time.Duration{}
	at := time.Duration(0)
	for _, p := range deck {
		at += minGap + upTo(random, maxGap-minGap)
		alike := like[p]
		// The one that has been whole for the longest; it is waited for.
		c := slices.MinFunc(alike, func(a, b card) int { return int(free[a.target.whole()] - free[b.target.whole()]) })
		fault := c.way.fault(random, c.target, max(at, free[c.target.whole()]))
		free[fault.Of] = fault.At + fault.For + c.target.rest()
		plan = append(plan, fault)
	}
	slices.SortStableFunc(plan, func(a, b Fault) int { return int(a.At - b.At) })
	return plan
}
