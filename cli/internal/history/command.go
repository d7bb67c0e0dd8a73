// Package history is `cupline history`.
package history

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/deadletters"
)

// Command is `cupline history`.
func Command(c *console.Console) *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use: "history COMMAND_ID", Short: "One command's life, from intake to ack", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := connect.Client(c)
			if err != nil {
				return err
			}
			h, err := client.CommandHistory(cmd.Context(), tenant, args[0])
			if err != nil {
				return err
			}
			return c.Result(h, func(w *strings.Builder) {
				fmt.Fprintf(w, "command %s of client %s\n\n", h.CommandID, h.Client)
				deadletters.Events(w, h.Events)
				for i := range h.Letters {
					fmt.Fprintf(w, "\ndead letter %s is %s\n", h.Letters[i].LetterID, h.Letters[i].State)
				}
			})
		},
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "another tenant's command; takes ops:platform")
	return cmd
}
