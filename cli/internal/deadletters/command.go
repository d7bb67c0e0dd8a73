// Package deadletters is `cupline dead-letters`.
package deadletters

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	cupline "github.com/cupline/cupline/clients/go"
)

// Command is `cupline dead-letters`.
func Command(c *console.Console) *cobra.Command {
	cmd := &cobra.Command{
		Use: "dead-letters", Aliases: []string{"dead-letter", "dl"}, Args: cobra.NoArgs,
		Short: "See what died and why; send it again, or let it go",
	}
	cmd.AddCommand(list(c), groups(c), show(c), redrive(c), discard(c), undo(c), note(c), mark(c), export(c), jobs(c))
	return cmd
}

// options choose letters.
type options struct {
	values map[string]*string
	held   bool
	since  time.Duration
}

// filterFlags are the API's filters that are flags of the same name.
var filterFlags = []struct{ name, usage string }{
	{"tenant", "another tenant's, or system's; takes ops:platform"}, {"state", "open, redriving, redriven or discarded"},
	{"reason", "such as no_answer"}, {"executed", "no or maybe"}, {"lane", "of this lane"}, {"device", "of this device"},
	{"device-type", "of this device type"}, {"method", "of this method"}, {"client", "of this client"}, {"id", "of this id of a client"},
	{"command-id", "of this command"}, {"group", "of this cause, as 'groups' tells it"},
	{"job", "that this job acted on last"}, {"tag", "with this tag, or of a group with it"}, {"assignee", "that somebody looks after"},
	{"text", "in the payload, or in the error"}, {"from", "died at this time or later, RFC 3339"}, {"before", "died before this time, RFC 3339"},
}

func (o *options) add(cmd *cobra.Command) {
	o.values = map[string]*string{}
	for _, f := range filterFlags {
		o.values[parameter(f.name)] = cmd.Flags().String(f.name, "", f.usage)
	}
	cmd.Flags().BoolVar(&o.held, "held", false, "that have died again and again")
	cmd.Flags().DurationVar(&o.since, "since", 0, "died within this time, such as 1h")
}

// parameter is the API's name of a flag.
func parameter(flag string) string {
	if flag == "job" {
		return "job_id"
	}
	return strings.ReplaceAll(flag, "-", "_")
}

func (o *options) filter() cupline.Filter {
	f := cupline.Filter{}
	for name, value := range o.values {
		if *value != "" {
			f[name] = *value
		}
	}
	if o.held {
		f["held"] = "true"
	}
	if o.since > 0 {
		f["from"] = time.Now().Add(-o.since).UTC().Format(time.RFC3339Nano)
	}
	return f
}

func list(c *console.Console) *cobra.Command {
	var o options
	var sort string
	var limit int
	var follow bool
	cmd := &cobra.Command{
		Use: "list", Short: "List dead letters, the newest first", Args: cobra.NoArgs,
		Example: `  cupline dead-letters list --state open --reason no_answer --since 1h
  cupline dead-letters list --follow`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return exit.Usagef("--limit must not be negative")
			}
			client, err := connect.Client(c)
			if err != nil {
				return err
			}
			f := o.filter()
			if follow {
				return watch(cmd.Context(), c, client, f)
			}
			if sort != "" {
				f["sort"] = sort
			}
			var rows [][]string
			for l, err := range client.DeadLetters(cmd.Context(), f, limit) {
				if err != nil {
					return err
				}
				if !c.JSON {
					rows = append(rows, row(&l))
				} else if err := c.Line(l); err != nil {
					return err
				}
			}
			if c.JSON {
				return nil
			}
			return c.Result(nil, func(w *strings.Builder) { console.Table(w, header, rows) })
		},
	}
	o.add(cmd)
	cmd.Flags().StringVar(&sort, "sort", "", "died_at, device, method, reason or client; with - before it the other way round")
	cmd.Flags().IntVar(&limit, "limit", 50, "the most letters; 0 for all")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "show letters as they arrive, from the last 30 s on, until Ctrl-C")
	return cmd
}

const header = "letter died state reason executed device method client id"

func row(l *cupline.Letter) []string {
	return []string{l.LetterID, console.Time(l.DiedAt), l.State, l.Reason, l.Executed, l.Device, l.Method, l.Client, string(l.ID)}
}

const (
	followEvery = time.Second
	// overlap is how far back each look goes: a letter is committed a moment after its time.
	overlap = 30 * time.Second
)

// watch shows letters as they arrive. Looks overlap, and each letter is shown once.
func watch(ctx context.Context, c *console.Console, client *cupline.Client, f cupline.Filter) error {
	f["sort"] = "died_at"
	newest := time.Now()
	if f["from"] == "" {
		f["from"] = newest.Add(-overlap).UTC().Format(time.RFC3339Nano)
	} else {
		newest = time.Time{}
	}
	shown := map[string]time.Time{}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		for l, err := range client.DeadLetters(ctx, f, 0) {
			switch {
			case ctx.Err() != nil:
				return nil
			case err != nil:
				return err
			}
			if _, known := shown[l.LetterID]; known {
				continue
			}
			shown[l.LetterID] = l.DiedAt
			if l.DiedAt.After(newest) {
				newest = l.DiedAt
			}
			if err := line(c, &l); err != nil {
				return err
			}
		}
		if back := newest.Add(-overlap); !newest.IsZero() {
			f["from"] = back.UTC().Format(time.RFC3339Nano)
			for id, died := range shown {
				if died.Before(back) {
					delete(shown, id)
				}
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// line writes one letter at once.
func line(c *console.Console, l *cupline.Letter) error {
	if c.JSON {
		return c.Line(l)
	}
	return c.Row(append(row(l), l.Detail))
}

func groups(c *console.Console) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use: "groups", Short: "Dead letters by cause: an incident is one line", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := connect.Client(c)
			if err != nil {
				return err
			}
			found, err := client.DeadLetterGroups(cmd.Context(), o.filter())
			if err != nil {
				return err
			}
			return c.Result(found, func(w *strings.Builder) {
				console.Table(w, groupHeader, groupRows(found))
			})
		},
	}
	o.add(cmd)
	return cmd
}

const groupHeader = "group count open maybe per-minute first last reason type method cause"

func groupRows(groups []cupline.LetterGroup) (rows [][]string) {
	for _, g := range groups {
		rows = append(rows, []string{
			g.Group, strconv.FormatInt(g.Count, 10), strconv.FormatInt(g.Open, 10), strconv.FormatInt(g.Maybe, 10),
			strconv.FormatFloat(g.PerMinute, 'f', 1, 64), console.Time(g.FirstAt), console.Time(g.LastAt), g.Reason, g.DeviceType, g.Method, g.Cause,
		})
	}
	return rows
}

func export(c *console.Console) *cobra.Command {
	var o options
	var payloads bool
	cmd := &cobra.Command{
		Use: "export", Short: "Write all letters that the filters choose, one JSON object a line", Args: cobra.NoArgs,
		Long: "Write all letters that the filters choose, one JSON object a line, with their payloads if --payloads is given.\nIt reads page by page, so that memory does not grow with the number of letters.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := connect.Client(c)
			if err != nil {
				return err
			}
			f := o.filter()
			if payloads {
				f["payloads"] = "true"
			}
			for l, err := range client.DeadLetters(cmd.Context(), f, 0) {
				if err != nil {
					return err
				}
				if err := c.Line(l); err != nil {
					return err
				}
			}
			return nil
		},
	}
	o.add(cmd)
	cmd.Flags().BoolVar(&payloads, "payloads", false, "with their payloads, as JSON or in hexadecimal digits, as payload_encoding says")
	return cmd
}
