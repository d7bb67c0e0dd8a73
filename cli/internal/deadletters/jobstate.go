package deadletters

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	cupline "github.com/cupline/cupline/clients/go"
)

func listJobs(c *console.Console) *cobra.Command {
	var tenant, kind, state string
	var limit int
	cmd := &cobra.Command{Use: "list", Short: "List jobs, the newest first", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		if limit < 0 {
			return exit.Usagef("--limit must not be negative")
		}
		client, err := connect.Client(c)
		if err != nil {
			return err
		}
		f := cupline.Filter{}
		for name, value := range map[string]string{"tenant": tenant, "kind": kind, "state": state} {
			if value != "" {
				f[name] = value
			}
		}
		var rows [][]string
		for j, err := range client.LetterJobs(cmd.Context(), f, limit) {
			if err != nil {
				return err
			}
			if !c.JSON {
				rows = append(rows, []string{
					j.JobID, console.Time(j.CreatedAt), j.Kind, j.State, fmt.Sprintf("%d/%d", j.Total-j.Waiting, j.Total),
					strings.TrimPrefix(counted(j.Outcomes), ", "), j.Actor, j.Reason, j.Stopped,
				})
			} else if err := c.Line(j); err != nil {
				return err
			}
		}
		if c.JSON {
			return nil
		}
		return c.Result(nil, func(w *strings.Builder) {
			console.Table(w, "job created kind state done outcomes actor reason stopped", rows)
		})
	}}
	cmd.Flags().StringVar(&tenant, "tenant", "", "another tenant's; takes ops:platform")
	cmd.Flags().StringVar(&kind, "kind", "", "redrive, discard or undo")
	cmd.Flags().StringVar(&state, "state", "", "running, paused, cancelled or done")
	cmd.Flags().IntVar(&limit, "limit", 20, "the most jobs; 0 for all")
	return cmd
}

func status(c *console.Console) *cobra.Command {
	var tenant string
	cmd := &cobra.Command{Use: "show JOB", Short: "How far a job is", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		client, err := connect.Client(c)
		if err != nil {
			return err
		}
		s, err := client.LetterJobState(cmd.Context(), tenant, args[0])
		if err != nil {
			return err
		}
		return tell(c, s)
	}}
	cmd.Flags().StringVar(&tenant, "tenant", "", "another tenant's; takes ops:platform")
	return cmd
}

func items(c *console.Console) *cobra.Command {
	var tenant string
	cmd := &cobra.Command{Use: "items JOB", Aliases: []string{"report"}, Short: "What became of each letter of a job", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		client, err := connect.Client(c)
		if err != nil {
			return err
		}
		var rows [][]string
		for i, err := range client.LetterJobItems(cmd.Context(), tenant, args[0]) {
			if err != nil {
				return err
			}
			if !c.JSON {
				rows = append(rows, []string{fmt.Sprint(i.Position), i.LetterID, i.Result, i.Outcome, i.Detail})
			} else if err := c.Line(i); err != nil {
				return err
			}
		}
		if c.JSON {
			return nil
		}
		return c.Result(nil, func(w *strings.Builder) { console.Table(w, "position letter result outcome detail", rows) })
	}}
	cmd.Flags().StringVar(&tenant, "tenant", "", "another tenant's; takes ops:platform")
	return cmd
}

func change(c *console.Console, what string) *cobra.Command {
	var a cupline.LetterAction
	cmd := &cobra.Command{
		Use: what + " JOB --reason WHY", Short: strings.ToUpper(what[:1]) + what[1:] + " a job", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := connect.Client(c)
			if err != nil {
				return err
			}
			s, err := client.ChangeLetterJob(cmd.Context(), args[0], what, a)
			if err != nil {
				return err
			}
			return tell(c, s)
		},
	}
	actionFlags(cmd, c, &a)
	return cmd
}
