// Package audit is `cupline audit`.
package audit

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	cupline "github.com/cupline/cupline/clients/go"
)

// filters are the API's, as flags of the same name.
var filters = []string{"tenant", "from", "before", "stage", "action", "actor", "reason", "client", "device", "device-type", "method", "lane", "command-id", "id", "text", "sort"}

// Command is `cupline audit`.
func Command(c *console.Console) *cobra.Command {
	values := map[string]*string{}
	var since time.Duration
	var limit int
	cmd := &cobra.Command{
		Use: "audit", Short: "The audit trail: every failure, and everything operators did; the newest first", Args: cobra.NoArgs,
		Example: `  cupline audit --stage operator --since 24h
  cupline audit --command-id 0190b1f0-0000-7000-8000-000000000001`,
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
					f[strings.ReplaceAll(name, "-", "_")] = *value
				}
			}
			if since > 0 {
				f["from"] = time.Now().Add(-since).UTC().Format(time.RFC3339Nano)
			}
			var rows [][]string
			for e, err := range client.Audit(cmd.Context(), f, limit) {
				if err != nil {
					return err
				}
				if c.JSON {
					if err := c.Line(e); err != nil {
						return err
					}
					continue
				}
				rows = append(rows, []string{console.Time(e.At), e.Stage, e.Action, e.Actor, e.Reason, e.Device, e.Method, e.Client, e.Detail})
			}
			if c.JSON {
				return nil
			}
			return c.Result(nil, func(w *strings.Builder) {
				console.Table(w, "at stage action actor reason device method client detail", rows)
			})
		},
	}
	for _, name := range filters {
		usage := "only this one"
		if name == "sort" {
			usage = "at, or -at for the newest first"
		}
		values[name] = cmd.Flags().String(name, "", usage)
	}
	cmd.Flags().DurationVar(&since, "since", 0, "within this time, such as 1h")
	cmd.Flags().IntVar(&limit, "limit", 50, "the most entries; 0 for all")
	return cmd
}
