package devices

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/action"
	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	cupline "github.com/cupline/cupline/clients/go"
)

// pause is `pause` and `resume`.
func pause(c *console.Console, paused bool) *cobra.Command {
	use, short := "resume", "Let devices' commands go on"
	if paused {
		use, short = "pause", "Hold devices' commands back: they wait, or expire"
	}
	var a cupline.LetterAction
	cmd := &cobra.Command{
		Use: use + " DEVICE... --reason WHY", Short: short, Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := connect.Client(c)
			if err != nil {
				return err
			}
			var problems []error
			for _, id := range args {
				d, err := client.SetDevicePaused(cmd.Context(), id, paused, a)
				if err == nil {
					err = c.Result(d, func(w *strings.Builder) { fmt.Fprintf(w, "device %s is %s\n", d.ID, held(d.Paused)) })
				}
				if err != nil {
					problems = append(problems, fmt.Errorf("device %s: %w", id, err))
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
