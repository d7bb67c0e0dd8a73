package lanes

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/action"
	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	cupline "github.com/cupline/cupline/clients/go"
)

// pause is `pause` and `resume`.
func pause(c *console.Console, paused bool) *cobra.Command {
	use, short, is := "resume", "Have a lane's dispatchers take commands again", "taken from"
	if paused {
		use, short, is = "pause", "Have a lane's dispatchers take nothing: commands wait, or expire", "paused"
	}
	var a cupline.LetterAction
	cmd := &cobra.Command{
		Use: use + " LANE --reason WHY", Short: short + "; over the API, takes ops:platform", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := connect.Client(c)
			if err != nil {
				return err
			}
			l, err := client.SetLanePaused(cmd.Context(), args[0], paused, a)
			if err != nil {
				return err
			}
			return c.Result(l, func(w *strings.Builder) { fmt.Fprintf(w, "lane %s is %s\n", l.Lane, is) })
		},
	}
	action.Flags(cmd, c, &a.Reason, &a.Actor)
	_ = cmd.MarkFlagRequired("reason") // the flag is there
	return cmd
}

func drain(c *console.Console) *cobra.Command {
	var a cupline.LetterAction
	var rate int
	var dryRun, wait bool
	cmd := &cobra.Command{
		Use: "drain LANE --reason WHY", Short: "End a lane's backlog, each command as discarded; over the API, takes ops:platform", Args: cobra.ExactArgs(1),
		Long: `End what waits in a lane: each command goes to the recorder, ends as discarded, and its client is told. Nothing is
purged. The lane's dispatchers take nothing meanwhile; what is accepted after the drain began is left for them.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := connect.Client(c)
			if err != nil {
				return err
			}
			if dryRun {
				n, err := client.LaneWaiting(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return c.Result(map[string]any{"lane": args[0], "waiting": n}, func(w *strings.Builder) { fmt.Fprintf(w, "would discard %d commands\n", n) })
			}
			d, err := client.DrainLane(cmd.Context(), args[0], rate, a)
			if err == nil && wait {
				d, err = followDrain(cmd.Context(), c, client, d)
			}
			if err != nil {
				return err
			}
			return tellDrains(c, d)
		},
	}
	action.Flags(cmd, c, &a.Reason, &a.Actor)
	cmd.Flags().IntVar(&rate, "rate", 100, "commands a second, 1 to 500")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only tell how many wait")
	cmd.Flags().BoolVar(&wait, "wait", false, "show its progress until it ends; Ctrl-C leaves it running")
	return cmd
}

func followDrain(ctx context.Context, c *console.Console, client *cupline.Client, d cupline.Drain) (cupline.Drain, error) {
	defer c.EndProgress()
	last := int64(-1)
	d, err := console.Watch(ctx, d, func(d cupline.Drain) bool { return d.State == "running" }, func(d cupline.Drain) {
		if d.Done != last {
			c.Progress(d.Done, max(d.Done, known(d.Total)), "")
			last = d.Done
		}
	}, func(ctx context.Context) (cupline.Drain, error) { return client.DrainState(ctx, d.DrainID) })
	if err != nil && ctx.Err() != nil {
		return d, unwatched(d)
	}
	return d, err
}

// unwatched says what becomes of a drain whose watcher was interrupted.
func unwatched(d cupline.Drain) error {
	return exit.With(exit.Interrupted, fmt.Errorf("no longer watched; drain %s goes on\nsee it:  cupline lanes drains %s\nstop it: cupline lanes cancel-drain %s --reason WHY",
		d.DrainID, d.DrainID, d.DrainID))
}

func known(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

func tellDrains(c *console.Console, drains ...cupline.Drain) error {
	var rows [][]string
	for _, d := range drains {
		if c.JSON {
			if err := c.Line(d); err != nil {
				return err
			}
			continue
		}
		total := ""
		if d.Total != nil {
			total = strconv.FormatInt(*d.Total, 10)
		}
		rows = append(rows, []string{d.DrainID, console.Time(d.CreatedAt), d.Lane, d.State, strconv.FormatInt(d.Done, 10), total, d.Actor, d.Reason})
	}
	if c.JSON {
		return nil
	}
	return c.Result(nil, func(w *strings.Builder) { console.Table(w, "drain created lane state done waited actor reason", rows) })
}

func drains(c *console.Console) *cobra.Command {
	var limit int
	cmd := &cobra.Command{Use: "drains [DRAIN]", Short: "List drains, the newest first, or show one", Args: cobra.MaximumNArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		client, err := connect.Client(c)
		if err != nil {
			return err
		}
		if len(args) == 1 {
			d, err := client.DrainState(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return tellDrains(c, d)
		}
		var all []cupline.Drain
		for d, err := range client.Drains(cmd.Context(), limit) {
			if err != nil {
				return err
			}
			all = append(all, d)
		}
		return tellDrains(c, all...)
	}}
	cmd.Flags().IntVar(&limit, "limit", 20, "the most drains")
	return cmd
}

func cancelDrain(c *console.Console) *cobra.Command {
	var a cupline.LetterAction
	cmd := &cobra.Command{Use: "cancel-drain DRAIN --reason WHY", Short: "End a drain; what has gone stays discarded", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		client, err := connect.Client(c)
		if err != nil {
			return err
		}
		d, err := client.CancelDrain(cmd.Context(), args[0], a)
		if err != nil {
			return err
		}
		return tellDrains(c, d)
	}}
	action.Flags(cmd, c, &a.Reason, &a.Actor)
	_ = cmd.MarkFlagRequired("reason") // the flag is there
	return cmd
}
