package deadletters

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	cupline "github.com/cupline/cupline/clients/go"
)

func jobs(c *console.Console) *cobra.Command {
	cmd := &cobra.Command{Use: "job", Aliases: []string{"jobs"}, Short: "Redrive or discard many letters at once", Args: cobra.NoArgs}
	cmd.AddCommand(start(c), status(c), items(c), change(c, "pause"), change(c, "resume"), change(c, "cancel"))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}

func start(c *console.Console) *cobra.Command {
	var o options
	var j cupline.LetterJob
	var dryRun, wait bool
	cmd := &cobra.Command{
		Use: "start redrive|discard [filters]", Short: "Act on every open letter that the filters choose", Args: cobra.ExactArgs(1),
		Long: `Act on every open letter that the filters choose, in the order in which they died. See first what it
would meet with --dry-run. It needs at least one filter.`,
		Example: `  cupline dead-letters job start redrive --device lamp-1 --reason device_offline --dry-run
  cupline dead-letters job start redrive --device lamp-1 --why "the lamp has power again" --rate 5 --wait`,
		RunE: func(cmd *cobra.Command, args []string) error {
			j.Kind, j.Filter = args[0], o.filter()
			j.Tenant = j.Filter["tenant"]
			delete(j.Filter, "tenant")
			switch {
			case j.Kind != "redrive" && j.Kind != "discard":
				return exit.Usagef("%q: must be redrive or discard", j.Kind)
			case len(j.Filter) == 0:
				return exit.Usagef("say which letters, with at least one filter")
			case !dryRun && j.Reason == "":
				return exit.Usagef("--why is missing; it stands in the audit trail")
			}
			client, err := connect.Client(c)
			if err != nil {
				return err
			}
			if dryRun {
				return try(cmd.Context(), c, client, j)
			}
			s, err := client.StartLetterJob(cmd.Context(), j)
			if err == nil && wait {
				s, err = follow(cmd.Context(), c, client, j.Tenant, s)
			}
			if err != nil {
				return err
			}
			return tell(c, s)
		},
	}
	o.add(cmd)
	cmd.Flags().StringVar(&j.Reason, "why", "", "why you do it; it stands in the audit trail")
	cmd.Flags().StringVar(&j.Actor, "actor", c.Getenv("USER"), "who")
	cmd.Flags().BoolVar(&j.IncludeMaybe, "include-maybe", false, "redrive also what may have been executed")
	cmd.Flags().IntVar(&j.Rate, "rate", 10, "letters a second, 1 to 500")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only tell what it would meet")
	cmd.Flags().BoolVar(&wait, "wait", false, "show its progress until it ends; Ctrl-C leaves it running")
	return cmd
}

func try(ctx context.Context, c *console.Console, client *cupline.Client, j cupline.LetterJob) error {
	d, err := client.TryLetterJob(ctx, j)
	if err != nil {
		return err
	}
	return c.Result(d, func(w *strings.Builder) {
		fmt.Fprintf(w, "would %s %d letters; %d may have been executed, %d died more than a day ago\n\n", j.Kind, d.Letters, d.Maybe, d.OlderThanADay)
		console.Table(w, groupHeader, groupRows(d.Groups))
	})
}

// followEach is how often a job's progress is asked for.
const followEach = 500 * time.Millisecond

// follow draws a job's progress on the side until it no longer runs.
func follow(ctx context.Context, c *console.Console, client *cupline.Client, tenant string, s cupline.JobState) (cupline.JobState, error) {
	tick := time.NewTicker(followEach)
	defer tick.Stop()
	last := int64(-1)
	for s.State == "running" {
		if done := s.Total - s.Waiting; done != last && s.Total > 0 {
			const width = 30
			full := int(width * done / s.Total)
			c.Note("[%s%s] %d of %d", strings.Repeat("#", full), strings.Repeat(".", width-full), done, s.Total)
			last = done
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return s, fmt.Errorf("job %s goes on: %w", s.JobID, context.Cause(ctx))
		}
		var err error
		if s, err = client.LetterJobState(ctx, tenant, s.JobID); err != nil {
			return s, err
		}
	}
	return s, nil
}

func tell(c *console.Console, s cupline.JobState) error {
	return c.Result(s, func(w *strings.Builder) {
		fmt.Fprintf(w, "job %s (%s) is %s: %d of %d letters done", s.JobID, s.Kind, s.State, s.Total-s.Waiting, s.Total)
		for _, result := range slices.Sorted(maps.Keys(s.Results)) {
			fmt.Fprintf(w, ", %d %s", s.Results[result], result)
		}
		fmt.Fprintln(w)
	})
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
	cmd := &cobra.Command{Use: "items JOB", Short: "What became of each letter of a job", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
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
				rows = append(rows, []string{fmt.Sprint(i.Position), i.LetterID, i.Result, i.Detail})
			} else if err := c.Line(i); err != nil {
				return err
			}
		}
		if c.JSON {
			return nil
		}
		return c.Result(nil, func(w *strings.Builder) { console.Table(w, "position letter result detail", rows) })
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
