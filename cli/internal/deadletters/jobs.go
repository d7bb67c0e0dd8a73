package deadletters

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/action"
	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	cupline "github.com/cupline/cupline/clients/go"
)

func jobs(c *console.Console) *cobra.Command {
	cmd := &cobra.Command{Use: "job", Aliases: []string{"jobs"}, Short: "Redrive or discard many letters at once, or undo that", Args: cobra.NoArgs}
	cmd.AddCommand(start(c), listJobs(c), status(c), items(c), change(c, "pause"), change(c, "resume"), change(c, "cancel"))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}

func start(c *console.Console) *cobra.Command {
	var o options
	var j cupline.LetterJob
	var dryRun, wait bool
	var stopAbove, stopAfter int
	cmd := &cobra.Command{
		Use: "start redrive|discard|undo [filters]", Short: "Act on every letter that the filters choose", Args: cobra.ExactArgs(1),
		Long: `Redrive or discard every open letter that the filters choose, in the order in which they died, or open again what
was discarded within a day. See first what it would meet with --dry-run. It needs at least one filter.

A redrive with --canary sends that many first and waits for their outcomes. It pauses itself when too many outcomes
are failures; "job resume" lets it go on all the same.`,
		Example: `  cupline dead-letters job start redrive --device lamp-1 --reason device_offline --dry-run
  cupline dead-letters job start redrive --device lamp-1 --why "the lamp has power again" --rate 5 --canary 3 --wait
  cupline dead-letters job start undo --job JOB --why "the wrong lamp"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			j.Kind, j.Filter = args[0], o.filter()
			j.Tenant = j.Filter["tenant"]
			delete(j.Filter, "tenant")
			if err := complete(&j, dryRun); err != nil {
				return err
			}
			if cmd.Flags().Changed("stop-above") {
				j.StopAbove = &stopAbove
			}
			if cmd.Flags().Changed("stop-after") {
				j.StopAfter = &stopAfter
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
	action.Actor(cmd, c, &j.Actor)
	cmd.Flags().BoolVar(&j.IncludeMaybe, "include-maybe", false, "redrive also what may have been executed")
	cmd.Flags().BoolVar(&j.IncludeHeld, "include-held", false, "redrive also what has died again and again")
	cmd.Flags().IntVar(&j.Canary, "canary", 0, "how many letters a redrive sends first, and waits for")
	cmd.Flags().IntVar(&stopAbove, "stop-above", 50, "percentage of failures above which a redrive pauses itself; 100 for never")
	cmd.Flags().IntVar(&stopAfter, "stop-after", 20, "outcomes that are known before that is judged")
	cmd.Flags().IntVar(&j.Rate, "rate", 10, "letters a second, 1 to 500")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only tell what it would meet")
	cmd.Flags().BoolVar(&wait, "wait", false, "show its progress until it has ended and all outcomes are known; Ctrl-C leaves it running")
	return cmd
}

func complete(j *cupline.LetterJob, dryRun bool) error {
	switch {
	case j.Kind != "redrive" && j.Kind != "discard" && j.Kind != "undo":
		return exit.Usagef("%q: must be redrive, discard or undo", j.Kind)
	case len(j.Filter) == 0:
		return exit.Usagef("say which letters, with at least one filter")
	case !dryRun && j.Reason == "":
		return exit.Usagef("--why is missing; it stands in the audit trail")
	case !dryRun && j.Actor == "":
		return exit.Usagef("--actor is missing, and USER is not set: say who you are; it stands in the audit trail")
	}
	return nil
}

func try(ctx context.Context, c *console.Console, client *cupline.Client, j cupline.LetterJob) error {
	d, err := client.TryLetterJob(ctx, j)
	if err != nil {
		return err
	}
	return c.Result(d, func(w *strings.Builder) {
		fmt.Fprintf(w, "would %s %d letters; %d may have been executed, %d are held, %d died more than a day ago\n\n", j.Kind, d.Letters, d.Maybe, d.Held, d.OlderThanADay)
		console.Table(w, groupHeader, groupRows(d.Groups))
	})
}

// follow draws a job's progress on the side until it no longer runs, and then until its outcomes are known.
func follow(ctx context.Context, c *console.Console, client *cupline.Client, tenant string, s cupline.JobState) (cupline.JobState, error) {
	drawn := ""
	defer func() {
		if drawn != "" {
			c.EndProgress()
		}
	}()
	goesOn := func(s cupline.JobState) bool { return s.State == "running" || s.State == "done" && s.Awaited > 0 }
	s, err := console.Watch(ctx, s, goesOn, func(s cupline.JobState) {
		text := progress(&s)
		if now := fmt.Sprint(s.Total-s.Waiting, text); now != drawn && s.Total > 0 {
			c.Progress(s.Total-s.Waiting, s.Total, text)
			drawn = now
		}
	}, func(ctx context.Context) (cupline.JobState, error) {
		return client.LetterJobState(ctx, tenant, s.JobID)
	})
	if err != nil && ctx.Err() != nil {
		return s, left(tenant, &s)
	}
	return s, err
}

// progress is what stands behind a job's bar.
func progress(s *cupline.JobState) (text string) {
	if s.State == "running" && s.Rate > 0 && s.Waiting > int64(s.Rate) && !s.CanaryDue {
		text = fmt.Sprintf(", %s left", time.Duration(s.Waiting/int64(s.Rate))*time.Second)
	}
	if s.Awaited > 0 {
		text += fmt.Sprintf(", %d outcomes awaited", s.Awaited)
	}
	if s.CanaryDue {
		text += ", the canary goes first"
	}
	return text
}

// left says what becomes of a job whose watcher was interrupted.
func left(tenant string, s *cupline.JobState) error {
	job, fate := s.JobID, "goes on"
	if s.State != "running" {
		fate = "has sent all, and outcomes are awaited"
	}
	if tenant != "" {
		job += " --tenant " + tenant
	}
	text := fmt.Sprintf("no longer watched; job %s %s\nsee it:  cupline dead-letters job show %s", s.JobID, fate, job)
	if s.State == "running" {
		text += fmt.Sprintf("\nhold it: cupline dead-letters job pause %s --reason WHY", job)
	}
	return exit.With(exit.Interrupted, errors.New(text))
}

func tell(c *console.Console, s cupline.JobState) error {
	return c.Result(s, func(w *strings.Builder) {
		fmt.Fprintf(w, "job %s (%s) is %s: %d of %d letters done%s\n", s.JobID, s.Kind, s.State, s.Total-s.Waiting, s.Total, counted(s.Results))
		if len(s.Outcomes) > 0 || s.Awaited > 0 {
			fmt.Fprintf(w, "outcomes: %d awaited%s\n", s.Awaited, counted(s.Outcomes))
		}
		if s.Stopped != "" {
			fmt.Fprintf(w, "it stopped itself: %s\n", s.Stopped)
		}
	})
}

func counted(counts map[string]int64) string {
	var b strings.Builder
	for _, word := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&b, ", %d %s", counts[word], word)
	}
	return b.String()
}
