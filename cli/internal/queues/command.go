// Package queues is `cupline queues`.
package queues

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
)

// Command is `cupline queues`.
func Command(c *console.Console) *cobra.Command {
	return &cobra.Command{
		Use: "queues", Short: "The broker's queues: depth, consumers, rates", Args: cobra.NoArgs,
		Long: "The broker's queues: depth, consumers, rates. It touches no message. Takes ops:platform.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := connect.Client(c)
			if err != nil {
				return err
			}
			told, err := client.BrokerQueues(cmd.Context())
			if err != nil {
				return err
			}
			if told.Missing != "" {
				c.Note("depth and consumers only: %s", told.Missing)
			}
			var rows [][]string
			for _, q := range told.Queues {
				oldest := ""
				if q.OldestAt != nil {
					oldest = console.Time(*q.OldestAt)
				}
				if q.Paused != nil {
					q.State += ", paused"
				}
				if q.Draining {
					q.State += ", draining"
				}
				rows = append(rows, []string{
					q.Name, q.Kind, strconv.FormatInt(q.Ready, 10), count(q.Unacked), strconv.Itoa(q.Consumers),
					rate(q.PublishRate), rate(q.AckRate), count(q.DeadLettering), oldest, q.State,
				})
			}
			return c.Result(told, func(w *strings.Builder) {
				console.Table(w, "queue kind ready unacked consumers in/s acked/s dead-lettering oldest state", rows)
			})
		},
	}
}

func count(n *int64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(*n, 10)
}

func rate(r *float64) string {
	if r == nil {
		return ""
	}
	return strconv.FormatFloat(*r, 'f', 1, 64)
}
