// Package commands is `cupline commands`: what was started long ago and never ended.
package commands

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/action"
	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	cupline "github.com/cupline/cupline/clients/go"
)

// Command is `cupline commands`.
func Command(c *console.Console) *cobra.Command {
	cmd := &cobra.Command{Use: "commands", Short: "Commands that were started long ago and have no outcome (operators)", Args: cobra.NoArgs}
	cmd.AddCommand(open(c), settle(c))
	return cmd
}

func open(c *console.Console) *cobra.Command {
	values := map[string]*string{}
	var limit int
	cmd := &cobra.Command{
		Use: "open", Short: "List them, the oldest first; normally there are none", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return exit.Usagef("--limit must not be negative")
			}
			client, err := connect.Client(c)
			if err != nil {
				return err
			}
			f := cupline.Filter{}
			for name, value := range values {
				if *value != "" {
					f[name] = *value
				}
			}
			var rows [][]string
			for o, err := range client.OpenCommands(cmd.Context(), f, limit) {
				if err != nil {
					return err
				}
				if !c.JSON {
					rows = append(rows, []string{o.CommandID, console.Time(o.StartedAt), console.Time(o.OverdueAt), o.Device, o.Method, o.Client, string(o.ID)})
				} else if err := c.Line(o); err != nil {
					return err
				}
			}
			if c.JSON {
				return nil
			}
			return c.Result(nil, func(w *strings.Builder) { console.Table(w, "command started overdue device method client id", rows) })
		},
	}
	for name, usage := range map[string]string{
		"tenant": "another tenant's; takes ops:platform", "from": "started to be known at this time or later, RFC 3339; two days back unless told",
		"before": "before this time", "overdue": "how long their worker counts as lost; 1h unless told",
	} {
		values[name] = cmd.Flags().String(name, "", usage)
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "the most commands; 0 for all")
	return cmd
}

func settle(c *console.Console) *cobra.Command {
	var a cupline.LetterAction
	cmd := &cobra.Command{
		Use: "settle COMMAND_ID... --reason WHY", Short: "End them as worker_lost, executed: maybe, and tell their clients", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := connect.Client(c)
			if err != nil {
				return err
			}
			var problems []error
			for _, id := range args {
				o, err := client.SettleOpenCommand(cmd.Context(), id, a)
				if err == nil {
					err = c.Result(o, func(w *strings.Builder) {
						fmt.Fprintf(w, "%s is %s\n", o.CommandID, strings.TrimSpace(o.State+" "+o.Reason))
					})
				}
				if err != nil {
					problems = append(problems, fmt.Errorf("command %s: %w", id, err))
				}
			}
			return errors.Join(problems...)
		},
	}
	action.Flags(cmd, c, &a.Reason, &a.Actor)
	cmd.Flags().StringVar(&a.Tenant, "tenant", "", "another tenant's; takes ops:platform")
	_ = cmd.MarkFlagRequired("reason") // the flag is there
	return cmd
}
