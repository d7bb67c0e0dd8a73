package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cupline/cupline/cli/internal/management"
	"github.com/cupline/cupline/schema/topology"
)

// queue as the broker has it.
type queue struct {
	Name           string         `json:"name"`
	State          string         `json:"state"`
	Arguments      map[string]any `json:"arguments"`
	Policy         string         `json:"policy"`
	OperatorPolicy string         `json:"operator_policy"`
	// Definition is what policies set, in force; nothing before the broker's first figures.
	Definition any      `json:"effective_policy_definition"`
	Messages   int64    `json:"messages"`
	Stuck      int64    `json:"messages_dlx"`
	Consumers  int      `json:"consumers"`
	Members    []string `json:"members"`
	Online     []string `json:"online"`
}

// queues examines the queues as they are in force.
func (p *patient) queues(ctx context.Context, api *management.Client, k known) error {
	have, err := readQueues(ctx, api)
	if err != nil {
		return err
	}
	var nodes []node
	if err := api.Get(ctx, &nodes, "nodes"); err != nil {
		return err
	}
	want := topology.Whole(k.lanes...)
	for name := range have {
		if slot, is := strings.CutPrefix(name, topology.PushQueue("")); is {
			want = topology.Merge(want, topology.Push(slot))
		}
	}
	for _, q := range want.Queues {
		is, there := have[q.Name]
		if !there { // told as such under topology or dead letters
			for _, check := range []string{Limits, AtLeastOnce, Consumers} {
				p.add(Finding{Check: check, State: Unknown, Subject: "queue " + q.Name, Detail: "missing", Remedy: "cupline topology apply"})
			}
			continue
		}
		p.members(is, len(nodes))
		p.limits(q, is)
		p.strategy(q, is)
		p.consumers(is)
	}
	p.slots(have)
	if err := p.stuck(ctx, api, have); err != nil {
		return err
	}
	p.fine(Limits, "as declared, policies included")
	p.fine(AtLeastOnce, "strategy, overflow and dead-letter exchange are in force")
	p.fine(DeadLetters, "their ways are there, and none is stuck")
	p.fine(Consumers, "every lane, the dead letters and the mailbox have one")
	p.fine(Slots, "every slot has its pusher")
	return nil
}

func readQueues(ctx context.Context, api *management.Client) (map[string]queue, error) {
	var listed []queue
	if err := api.Get(ctx, &listed, "queues", api.VHost); err != nil {
		return nil, err
	}
	have := make(map[string]queue, len(listed))
	for _, q := range listed {
		have[q.Name] = q
	}
	return have, nil
}

// crashed is the remedy for members that are gone, also where RabbitMQ gave them up while their nodes run: rabbitmq-server
// issue 16652, open as of November 2026.
const crashed = "start the broker's nodes; with all of them running, restart one by one those whose log says reached_max_restart_intensity"

// members of a quorum queue: it goes on while most of them are online.
func (p *patient) members(q queue, nodes int) {
	majority := len(q.Members)/2 + 1
	switch online := len(q.Online); {
	case len(q.Members) > 0 && online < majority:
		p.bad(Cluster, q.Name, fmt.Sprintf("%d of %d members are online: it stands still", online, len(q.Members)), crashed)
	case len(q.Members) > 0 && online < len(q.Members):
		p.warn(Cluster, q.Name, fmt.Sprintf("%d of %d members are online", online, len(q.Members)), "start the broker's nodes")
	case nodes >= 3 && len(q.Members) < 3:
		p.bad(Cluster, q.Name, fmt.Sprintf("has %d members on %d nodes: the loss of one node can stop it", len(q.Members), nodes),
			`rabbitmq-queues grow NODE all --queue-pattern "^cupline" for each node that has none`)
	}
}

// stuck finds dead letters that the broker cannot pass on: those of which none went in the time
// between two of the broker's figures.
func (p *patient) stuck(ctx context.Context, api *management.Client, before map[string]queue) error {
	waiting := slices.ContainsFunc(slices.Collect(values(before)), func(q queue) bool { return q.Stuck > 0 })
	if !waiting {
		return nil
	}
	const figures = 6 * time.Second // the broker makes them every 5 s
	timer := time.NewTimer(figures)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	after, err := readQueues(ctx, api)
	if err != nil {
		return err
	}
	for _, q := range after {
		if earlier := before[q.Name]; q.Stuck > 0 && q.Stuck >= earlier.Stuck && earlier.Stuck > 0 {
			p.bad(DeadLetters, q.Name, fmt.Sprintf("%d dead letters wait in the broker for a way to where they belong", q.Stuck),
				"cupline topology apply, so that the dead-letter exchange and its route are there; then they go on by themselves")
		}
	}
	return nil
}

func values(of map[string]queue) func(func(queue) bool) {
	return func(yield func(queue) bool) {
		for _, q := range of {
			if !yield(q) {
				return
			}
		}
	}
}

// consumers of what has to be taken by somebody.
func (p *patient) consumers(q queue) {
	takers, counted := p.takers[q.Name]
	if !counted {
		takers = q.Consumers
	}
	if takers > 0 {
		return
	}
	switch lane, isWork := strings.CutPrefix(q.Name, topology.WorkQueue("")); {
	case isWork:
		p.warn(Consumers, q.Name, fmt.Sprintf("nobody takes commands of lane %s; %d wait, and expire", lane, q.Messages),
			"start a dispatcher with the role work and CUPLINE_LANES that names it; a lane that nobody needs: cupline lanes delete "+lane)
	case q.Name == topology.DeadQueue:
		p.bad(Consumers, q.Name, fmt.Sprintf("nobody settles what ended without an answer; %d wait", q.Messages), "start a dispatcher with the role record")
	case q.Name == topology.MailboxQueue:
		p.bad(Consumers, q.Name, fmt.Sprintf("nobody stores outcomes of clients that are away; %d wait", q.Messages), "start a pusher")
	}
}

// slots finds pushers' queues that have no pusher.
func (p *patient) slots(have map[string]queue) {
	for name, q := range have {
		slot, is := strings.CutPrefix(name, topology.PushQueue(""))
		_, held := have[topology.SlotLock(slot)]
		if !is || held {
			continue
		}
		p.warn(Slots, slot, fmt.Sprintf("has no pusher; %d messages wait, up to %s each", q.Messages, topology.PushTTL),
			"start its pusher, or run any with RABBITMQ_MANAGEMENT_URL set: it removes a slot that was free for CUPLINE_SLOT_FREE (10m)")
	}
}
