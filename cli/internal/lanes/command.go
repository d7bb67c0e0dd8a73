// Package lanes is `cupline lanes`: operators' configuration, in the database itself.
package lanes

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/registry"
)

// Lane is a lane as it is printed.
type Lane struct {
	Name      string          `json:"lane"`
	MaxTTL    device.Duration `json:"max_ttl"`
	MaxLength int64           `json:"max_length"`
	Ledger    bool            `json:"ledger"`
	// Tenants that may use it; all when empty.
	Tenants []string `json:"tenants"`
	// Paused is why nothing is taken from it; Draining that its backlog goes to the recorder.
	Paused   *topology.Pause `json:"paused,omitempty"`
	Draining bool            `json:"draining,omitempty"`
}

func printed(l topology.Lane) Lane {
	return Lane{l.Name, device.Duration(l.MaxTTL), l.MaxLength, !l.LedgerOff, append([]string{}, l.Tenants...), l.Paused, l.Draining}
}

func (l Lane) row() []string {
	ledger, tenants := "on", "all"
	if !l.Ledger {
		ledger = "off"
	}
	if len(l.Tenants) > 0 {
		tenants = strings.Join(l.Tenants, ",")
	}
	return []string{l.Name, time.Duration(l.MaxTTL).String(), strconv.FormatInt(l.MaxLength, 10), ledger, tenants, l.state()}
}

func (l Lane) state() string {
	switch {
	case l.Draining:
		return "draining"
	case l.Paused != nil:
		return "paused by " + l.Paused.By + ": " + l.Paused.Why
	}
	return "taken"
}

const header = "lane max-ttl max-length ledger tenants state"

// Command is `cupline lanes`.
func Command(c *console.Console) *cobra.Command {
	cmd := &cobra.Command{Use: "lanes", Aliases: []string{"lane"}, Short: "List, make, delete, pause and drain lanes (operators)", Args: cobra.NoArgs}
	cmd.AddCommand(list(c), put(c), remove(c), pause(c, true), pause(c, false), drain(c), drains(c), cancelDrain(c))
	return cmd
}

// Read returns all lanes of the database.
func Read(ctx context.Context, c *console.Console) ([]topology.Lane, error) {
	pool, err := connect.Database(ctx, c)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	lanes, err := registry.New(pool).Lanes(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the lanes: %w", err)
	}
	return lanes, nil
}

func list(c *console.Console) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List all lanes", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		lanes, err := Read(cmd.Context(), c)
		if err != nil {
			return err
		}
		var rows [][]string
		for _, lane := range lanes {
			if !c.JSON {
				rows = append(rows, printed(lane).row())
			} else if err := c.Line(printed(lane)); err != nil {
				return err
			}
		}
		if c.JSON {
			return nil
		}
		return c.Result(nil, func(w *strings.Builder) { console.Table(w, header, rows) })
	}}
}

func put(c *console.Console) *cobra.Command {
	lane := topology.DefaultLane()
	ledger := true
	cmd := &cobra.Command{
		Use: "put LANE", Short: "Make or replace a lane", Args: cobra.ExactArgs(1),
		Long: `Make or replace a lane. Its queue takes the new limits when it is made; for one that is there already,
"cupline topology check" says what differs, and "cupline topology apply" what can be done.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			lane.Name, lane.LedgerOff = args[0], !ledger
			if err := lane.Check(); err != nil {
				return exit.With(exit.Usage, err)
			}
			pool, err := connect.Database(cmd.Context(), c)
			if err != nil {
				return err
			}
			defer pool.Close()
			if _, err := registry.New(pool).PutLane(cmd.Context(), lane); err != nil {
				return fmt.Errorf("put lane %s: %w", lane.Name, err)
			}
			return c.Result(printed(lane), func(w *strings.Builder) { console.Table(w, header, [][]string{printed(lane).row()}) })
		},
	}
	cmd.Flags().DurationVar(&lane.MaxTTL, "max-ttl", lane.MaxTTL, "longest time that a command may wait in it")
	cmd.Flags().Int64Var(&lane.MaxLength, "max-length", lane.MaxLength, "most commands that may wait in it")
	cmd.Flags().BoolVar(&ledger, "ledger", ledger, "never twice; --ledger=false only for idempotent methods")
	cmd.Flags().StringSliceVar(&lane.Tenants, "tenants", nil, "who may use it; all unless told")
	return cmd
}

func remove(c *console.Console) *cobra.Command {
	return &cobra.Command{Use: "delete LANE", Short: "Delete a lane that no device type has; its queue stays", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		pool, err := connect.Database(cmd.Context(), c)
		if err != nil {
			return err
		}
		defer pool.Close()
		if err := registry.New(pool).DeleteLane(cmd.Context(), args[0]); err != nil {
			return fmt.Errorf("delete lane %s: %w", args[0], err)
		}
		c.Note("deleted lane %s", args[0])
		return nil
	}}
}
