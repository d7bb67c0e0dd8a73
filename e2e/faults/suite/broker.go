package suite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/cupline/cupline/e2e/faults/schedule"
	"github.com/cupline/cupline/local/services"
	"github.com/cupline/cupline/schema/topology"
)

// retryDeadLetters has the broker try dead letters again, that it could not pass on, after 10 s
// instead of 3 minutes. Queues that are led by a node from its own start on know the 3 minutes.
const retryDeadLetters = "application set_env [rabbit,dead_letter_worker_publisher_confirm_timeout,10000]"

// inBroker is the target of faults in a broker that runs.
const inBroker = "inside the broker"

// brokerBreakers let the broker run, and take something away from it.
func (s *site) brokerBreakers() map[schedule.Action]breaker {
	policy := func(pattern string, definition map[string]any) breaker {
		return func(ctx context.Context, f schedule.Fault) error {
			whole := context.WithoutCancel(ctx)
			err := s.order(whole, http.MethodPut, "/api/policies/%2F/faults", map[string]any{
				"pattern": pattern, "definition": definition, "priority": 9, "apply-to": "queues",
			})
			if err != nil {
				return err
			}
			pause(ctx, f.For)
			return s.order(whole, http.MethodDelete, "/api/policies/%2F/faults", nil)
		}
	}
	return map[schedule.Action]breaker{
		// The values at the end are those that the broker was started with.
		schedule.MemoryAlarm: s.applied("vm_memory_monitor set_vm_memory_high_watermark [0.0001]", "vm_memory_monitor set_vm_memory_high_watermark [0.4]"),
		schedule.DiskAlarm:   s.applied("rabbit_disk_monitor set_disk_free_limit [1000000000000000]", "rabbit_disk_monitor set_disk_free_limit [134217728]"),
		schedule.QueueFull:   s.fillQueue(policy(`^cupline\.work\.`, map[string]any{"max-length": fullLength})),
		schedule.PolicyChanged: policy(`^cupline\.(work|push)\.`, map[string]any{
			"max-length": 500, "message-ttl": 5000, "delivery-limit": 10,
		}),
		schedule.NoDeadLetters:    s.noDeadLetters,
		schedule.ConsumerTimedOut: s.consumerTimeout,
	}
}

// fullLength is how many commands wait in a queue that is full.
const fullLength = 10

// fillQueue holds the dispatchers still, so that a queue with a low limit fills up.
func (s *site) fillQueue(limit breaker) breaker {
	return func(ctx context.Context, f schedule.Fault) (err error) {
		for _, p := range s.parts {
			if p.program != services.Dispatcher {
				continue
			}
			defer s.hold(p.name)()
			if err := s.Pause(p.name); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Resume(p.name)) }()
		}
		return limit(ctx, f)
	}
}

// applied has the broker apply one function, and after the fault's time another.
func (s *site) applied(begin, end string) breaker {
	return func(ctx context.Context, f schedule.Fault) error {
		whole := context.WithoutCancel(ctx)
		if err := s.Broker.Apply(whole, begin); err != nil {
			return err
		}
		pause(ctx, f.For)
		return s.Broker.Apply(whole, end)
	}
}

// noDeadLetters deletes an exchange that queues dead-letter to, with its bindings. Nobody puts
// it back: the services do that.
func (s *site) noDeadLetters(ctx context.Context, f schedule.Fault) error {
	exchange := []string{topology.DeadExchange, topology.MailboxExchange}[f.Nth%2]
	err := s.order(context.WithoutCancel(ctx), http.MethodDelete, "/api/exchanges/%2F/"+url.PathEscape(exchange), nil)
	if err == nil {
		pause(ctx, f.For)
	}
	return err
}

// consumerTimeout lets the broker close channels that leave a delivery unacknowledged for longer
// than devices take to answer; it does so to channels that are opened from then on.
func (s *site) consumerTimeout(ctx context.Context, f schedule.Fault) error {
	whole := context.WithoutCancel(ctx)
	set := func(timeout, tick string) error {
		return errors.Join(s.applyAll(whole, "application set_env [rabbit,consumer_timeout,"+timeout+"]"),
			s.applyAll(whole, "application set_env [rabbit,channel_tick_interval,"+tick+"]"), s.closeConnections(whole))
	}
	if err := set("1500", "500"); err != nil {
		return err
	}
	pause(ctx, f.For)
	return set("1800000", "60000")
}

// applyAll has every node of the broker apply one function.
func (s *site) applyAll(ctx context.Context, function string) error {
	return each(slices.Sorted(maps.Keys(s.nodes)), func(name string) error { return s.nodes[name].Apply(ctx, function) })
}

// closeConnections closes those of AMQP clients; they come back by themselves.
func (s *site) closeConnections(ctx context.Context) error {
	var listed []struct {
		Name     string `json:"name"`
		Protocol string `json:"protocol"`
	}
	if err := s.manage(ctx, "/api/connections", &listed); err != nil {
		return err
	}
	for _, c := range listed {
		if c.Protocol != "AMQP 0-9-1" {
			continue
		}
		if err := s.order(ctx, http.MethodDelete, "/api/connections/"+url.PathEscape(c.Name), nil); err != nil {
			s.say("a connection was not closed, or had gone by itself: %v", err)
		}
	}
	return nil
}

// order asks the broker's management API to change something. What is not there need not be deleted.
func (s *site) order(ctx context.Context, method, path string, what any) error {
	body, err := json.Marshal(what)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, s.Broker.ManagementURL()+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("tell the broker %s %s: %w", method, path, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode >= http.StatusMultipleChoices && answer.StatusCode != http.StatusNotFound {
		return fmt.Errorf("tell the broker %s %s: %s", method, path, answer.Status)
	}
	return nil
}
