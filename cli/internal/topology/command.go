// Package topology is `cupline topology`: what schema/topology declares, beside what a
// broker really has.
package topology

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	"github.com/cupline/cupline/cli/internal/lanes"
	"github.com/cupline/cupline/cli/internal/management"
	"github.com/cupline/cupline/schema/topology"
)

// Command is `cupline topology`.
func Command(c *console.Console) *cobra.Command {
	cmd := &cobra.Command{
		Use: "topology", Short: "Print, check and apply exchanges, queues, bindings and users (operators)", Args: cobra.NoArgs,
		Long: `Print, check and apply everything that lasts on the broker: exchanges, queues, bindings, and Cupline's own users
with their rights. Lanes are read from DATABASE_URL; without it only the default lane is meant.

Each service has a user of its own, PREFIX-ROLE, that can do no more than it needs. Users are seen and made only
where the user of RABBITMQ_MANAGEMENT_URL is an administrator of the broker.`,
	}
	var prefix string
	cmd.PersistentFlags().StringVar(&prefix, "user-prefix", topology.UserPrefix, "how Cupline's users on the broker begin, for installations that share a broker")
	cmd.AddCommand(print(c, &prefix), check(c, &prefix), apply(c, &prefix))
	return cmd
}

// Declared is what the broker has to have.
func Declared(ctx context.Context, c *console.Console) (topology.Topology, error) {
	all := []topology.Lane{topology.DefaultLane()}
	if c.Getenv(connect.DatabaseURL) == "" {
		c.Note("%s is not set: only the default lane is meant", connect.DatabaseURL)
	} else {
		var err error
		if all, err = lanes.Read(ctx, c); err != nil {
			return topology.Topology{}, err
		}
	}
	return topology.Whole(all...), nil
}

func print(c *console.Console, prefix *string) *cobra.Command {
	return &cobra.Command{Use: "print", Short: "Print what is declared", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		t, err := Declared(cmd.Context(), c)
		if err != nil {
			return err
		}
		return c.Result(printed(t, *prefix), func(w *strings.Builder) { tables(w, t, *prefix) })
	}}
}

// errDifferent is what a check ends with that found something.
var errDifferent = errors.New("the broker is not as declared")

func check(c *console.Console, prefix *string) *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Compare a live broker with what is declared", Args: cobra.NoArgs,
		Long: `Compare a live broker with what is declared, through its management API: what is missing, what has other
arguments, users that have other rights, and foreign bindings that take copies of commands: a publish with the
mandatory flag counts these as routes, so that a missing lane or an offline device would go unnoticed.

Exit code 10 when there is a difference.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			want, err := Declared(cmd.Context(), c)
			if err != nil {
				return err
			}
			found, err := look(cmd.Context(), c, want, *prefix)
			if err != nil {
				return err
			}
			return report(c, found)
		},
	}
}

// open is the broker's management API; close it when done.
func open(c *console.Console) (vhost, error) {
	values, err := connect.Require(c, connect.ManagementURL, connect.AMQPURL)
	if err != nil {
		return vhost{}, err
	}
	api, err := management.New(values[0], values[1])
	if err != nil {
		return vhost{}, exit.With(exit.Usage, err)
	}
	return vhost{api}, nil
}

// Compare finds every difference between a live broker and what is declared, users left out.
func Compare(ctx context.Context, api *management.Client, want topology.Topology) ([]Difference, error) {
	have, err := vhost{api}.read(ctx)
	if err != nil {
		return nil, err
	}
	return compare(want, have), nil
}

func look(ctx context.Context, c *console.Console, want topology.Topology, prefix string) ([]Difference, error) {
	api, err := open(c)
	if err != nil {
		return nil, err
	}
	defer api.Close()
	found, err := Compare(ctx, api.Client, want)
	if err != nil {
		return nil, err
	}
	users, err := checkUsers(ctx, c, api, prefix)
	return append(found, users...), err
}

func report(c *console.Console, found []Difference) error {
	result := struct {
		Differences []Difference `json:"differences"`
	}{append([]Difference{}, found...)}
	if err := c.Result(result, func(w *strings.Builder) { differences(w, found) }); err != nil {
		return err
	}
	if len(found) == 0 {
		return nil
	}
	return exit.With(exit.Different, fmt.Errorf("%w: %d differences", errDifferent, len(found)))
}
