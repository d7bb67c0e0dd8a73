package topology

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	"github.com/cupline/cupline/schema/topology"
)

func apply(c *console.Console, prefix *string) *cobra.Command {
	var recreate, leave bool
	cmd := &cobra.Command{
		Use: "apply", Short: "Declare what is missing, and say what else differs", Args: cobra.NoArgs,
		Long: `Declare what is missing on the broker. A queue's arguments cannot be changed while it exists: with --recreate
a queue that has neither messages nor consumers is deleted and made anew; any other is left as it is.
Meanwhile commands for its lane are refused with 503. Foreign bindings are never touched.

Users are made whose passwords are given in CUPLINE_AMQP_PASSWORD_ROLE, or in the file that
CUPLINE_AMQP_PASSWORD_ROLE_FILE names, where ROLE is API, DISPATCHER, RECORDER, WORKER, PUSHER, TOPOLOGY or MONITOR. Users
that are there get their rights set, and a new password where one is given.

Ends like check: exit code 10 when a difference is left. With --leave-changed only when something is missing
still: services go on with what is there with other arguments, and with foreign bindings, and say so.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), c, recreate, leave, *prefix) },
	}
	cmd.Flags().BoolVar(&leave, "leave-changed", false, "what is there and differs is told, and is no failure")
	cmd.Flags().BoolVar(&recreate, "recreate", false, "delete and make anew changed queues that are empty and without consumers")
	return cmd
}

func run(ctx context.Context, c *console.Console, recreate, leave bool, prefix string) (err error) {
	want, err := Declared(ctx, c)
	if err != nil {
		return err
	}
	api, err := open(c)
	if err != nil {
		return err
	}
	defer api.Close()
	if err := applyUsers(ctx, c, api, prefix); err != nil {
		return err
	}
	before, err := look(ctx, c, want, prefix)
	if err != nil {
		return err
	}
	link, err := connect.Broker(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, link.Stop(context.WithoutCancel(ctx))) }()
	err = link.Do(ctx, func(ctx context.Context, s *broker.Session) error {
		if recreate {
			for _, d := range before {
				if d.Kind == Changed && d.What == "queue" && d.Remedy == recreateRemedy {
					if err := makeAnew(ctx, c, s, want, d.Name); err != nil {
						return err
					}
				}
			}
		}
		_, err := s.Declare(ctx, want) // what exists with other arguments is told below
		return err
	})
	if err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	for _, d := range before {
		if d.Kind == Missing {
			c.Note("declared %s %s", d.What, d.Name)
		}
	}
	after, err := look(ctx, c, want, prefix)
	if err != nil {
		return err
	}
	err = report(c, after)
	if leave && exit.Code(err) == exit.Different && !slices.ContainsFunc(after, func(d Difference) bool { return d.Kind == Missing }) {
		c.Note("nothing is missing: services go on with what differs")
		return nil
	}
	return err
}

// makeAnew deletes a queue; Declare makes it anew then. It is unbound first, so that
// nothing can come in between the look at it and the deletion.
func makeAnew(ctx context.Context, c *console.Console, s *broker.Session, want topology.Topology, name string) error {
	for _, b := range want.Bindings {
		if b.Destination == name && !b.ToExchange {
			if err := s.Unbind(ctx, b); err != nil {
				return err
			}
		}
	}
	const ifUnused, ifEmpty = true, true
	err := s.DeleteQueue(ctx, name, ifUnused, ifEmpty)
	if errors.Is(err, broker.ErrInUse) {
		c.Note("left queue %s as it is: %v", name, err)
		return nil
	}
	if err == nil {
		c.Note("deleted queue %s, to make it anew", name)
	}
	return err
}
