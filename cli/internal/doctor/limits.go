package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cupline/cupline/cli/internal/management"
	"github.com/cupline/cupline/schema/topology"
)

// definition is what policies set on the queue. The API writes an empty one as a list.
func (q queue) definition() map[string]any {
	set, _ := q.Definition.(map[string]any)
	return set
}

// policies names those in force on the queue.
func (q queue) policies() string {
	var names []string
	for _, name := range []string{q.Policy, q.OperatorPolicy} {
		if name != "" {
			names = append(names, fmt.Sprintf("%q", name))
		}
	}
	return strings.Join(names, " and ")
}

// number as JSON or the topology has it.
func number(value any) (float64, bool) {
	switch n := value.(type) {
	case float64:
		return n, true
	case int64:
		return float64(n), true
	}
	return 0, false
}

// limits holds what policies set against what the queue is declared with. Of time-to-live,
// length, delivery limit and expiry the smaller of policy and argument is in force (a queue's
// own arguments are compared with the topology elsewhere).
func (p *patient) limits(want topology.Queue, q queue) {
	for _, key := range slices.Sorted(maps.Keys(q.definition())) {
		value := q.definition()[key]
		subject := "queue " + q.Name
		remedy := "rabbitmqctl clear_policy (or clear_operator_policy) " + q.policies() + ", or leave " + q.Name + " out of its pattern"
		set, isNumber := number(value)
		own, declared := number(want.Arguments["x-"+key])
		switch {
		case key == "expires":
			p.bad(Limits, subject, fmt.Sprintf("expires after %v ms without consumers, by policy %s: what is in it is lost then", value, q.policies()), remedy)
		case key == "max-length-bytes", key == "message-ttl" && !declared, key == "max-length" && !declared:
			p.bad(Limits, subject, fmt.Sprintf("%s is %v by policy %s, declared without: what goes past it is lost", key, value, q.policies()), remedy)
		case key == "delivery-limit" && isNumber && set < 0:
			p.bad(Limits, subject, fmt.Sprintf("delivery-limit is %v by policy %s: RabbitMQ 3.x dead-letters at once with it", value, q.policies()), remedy)
		case (key == "message-ttl" || key == "max-length" || key == "delivery-limit") && isNumber && declared && set < own:
			p.bad(Limits, subject, fmt.Sprintf("%s is %.0f by policy %s, declared %.0f; the smaller one is in force", key, set, q.policies(), own), remedy)
		}
	}
	// What no argument says is 20 deliveries on 4.x and without end on 3.x.
	if _, is := q.Arguments["x-delivery-limit"]; !is && want.Arguments["x-delivery-limit"] != nil {
		p.bad(Limits, "queue "+q.Name, "has no x-delivery-limit of its own: without end on RabbitMQ 3.x, 20 on 4.x", "see topology")
	}
	if own, is := number(q.Arguments["x-delivery-limit"]); is && own <= 0 {
		p.bad(Limits, "queue "+q.Name, fmt.Sprintf("x-delivery-limit is %.0f: RabbitMQ 3.10 dead-letters at once with -1", own), "see topology")
	}
}

// strategy tells whether dead letters are passed on at least once, which takes three settings
// that have to be in force together; otherwise the broker says nothing, and passes them on at
// most once. A policy's overflow overrides the queue's own; its dead-letter settings do not.
func (p *patient) strategy(want topology.Queue, q queue) {
	exchange, has := want.Arguments["x-dead-letter-exchange"]
	if !has {
		return
	}
	set := q.definition()
	force := func(key string, policyFirst bool) any {
		policy, byPolicy := set[key]
		own, byQueue := q.Arguments["x-"+key]
		if byPolicy && (policyFirst || !byQueue) {
			return policy
		}
		return own
	}
	say := func(key string, is, should any) {
		if is == nil {
			is = "not set"
		}
		if is == should {
			return
		}
		by := ""
		if set[key] == is {
			by = " by policy " + q.policies()
		}
		remedy := "see topology"
		if by != "" {
			remedy = "rabbitmqctl clear_policy (or clear_operator_policy) " + q.policies()
		}
		p.bad(AtLeastOnce, "queue "+q.Name, fmt.Sprintf("%s is %v%s, must be %v: dead letters can be lost", key, is, by, should), remedy)
	}
	say("dead-letter-strategy", force("dead-letter-strategy", false), "at-least-once")
	say("overflow", force("overflow", true), "reject-publish")
	say("dead-letter-exchange", force("dead-letter-exchange", false), exchange)
	say("dead-letter-routing-key", orUnset(force("dead-letter-routing-key", false)), "not set")
}

func orUnset(value any) any {
	if value == nil {
		return "not set"
	}
	return value
}

// policies examines those of exchanges: an alternate exchange counts as a route, so that
// cupline.commands must not get one by a policy either.
func (p *patient) policies(ctx context.Context, api *management.Client, _ known) error {
	var exchanges []struct {
		Name   string `json:"name"`
		Policy string `json:"policy"`
	}
	if err := api.Get(ctx, &exchanges, "exchanges", api.VHost); err != nil {
		return err
	}
	for _, e := range exchanges {
		if e.Policy == "" || e.Name != topology.CommandsExchange {
			continue
		}
		var policy struct {
			Definition map[string]any `json:"definition"`
		}
		if err := api.Get(ctx, &policy, "policies", api.VHost, e.Policy); err != nil {
			p.unknown(Foreign, fmt.Sprintf("policy %q is on exchange %s, and cannot be read: %v", e.Policy, e.Name, err), "look whether it sets alternate-exchange")
			continue
		}
		if alternate := policy.Definition["alternate-exchange"]; alternate != nil {
			p.bad(Foreign, "exchange "+e.Name, fmt.Sprintf("has the alternate exchange %v by policy %q: it counts as a route, and so hides a lane that is missing", alternate, e.Policy),
				fmt.Sprintf("rabbitmqctl clear_policy %q", e.Policy))
		}
	}
	p.fine(Foreign, "none")
	return nil
}
