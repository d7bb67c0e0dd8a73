package deadletters

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	cupline "github.com/cupline/cupline/clients/go"
)

// act runs one action on each of the letters named, and tells of each.
func act(cmd *cobra.Command, c *console.Console, letters []string, do func(client *cupline.Client, letter string) error) error {
	client, err := connect.Client(c)
	if err != nil {
		return err
	}
	var problems []error
	for _, letter := range letters {
		if err := do(client, letter); err != nil {
			problems = append(problems, fmt.Errorf("letter %s: %w", letter, err))
		}
		if cmd.Context().Err() != nil {
			break
		}
	}
	return errors.Join(problems...)
}

// actionFlags are those of whoever does something to letters.
func actionFlags(cmd *cobra.Command, c *console.Console, a *cupline.LetterAction) {
	cmd.Flags().StringVar(&a.Reason, "reason", "", "why; it stands in the audit trail")
	cmd.Flags().StringVar(&a.Actor, "actor", c.Getenv("USER"), "who")
	cmd.Flags().StringVar(&a.Tenant, "tenant", "", "another tenant's letters; takes ops:platform")
	_ = cmd.MarkFlagRequired("reason") // the flag is there
}

func redrive(c *console.Console) *cobra.Command {
	var a cupline.LetterAction
	cmd := &cobra.Command{
		Use: "redrive LETTER... --reason WHY", Short: "Send letters' commands again, as new ones", Args: cobra.MinimumNArgs(1),
		Long: `Send letters' commands again, as new ones: same client, id and bytes, new command id, fresh time-to-live.
What the device may have executed ("maybe") is left alone unless --include-maybe is given.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return act(cmd, c, args, func(client *cupline.Client, letter string) error {
				r, err := client.RedriveDeadLetter(cmd.Context(), letter, a)
				if err != nil {
					return err
				}
				return c.Result(r, func(w *strings.Builder) {
					fmt.Fprintf(w, "%s is %s as command %s, redrive %d\n", r.LetterID, r.State, r.RedrivenAs, r.RedriveNumber)
				})
			})
		},
	}
	actionFlags(cmd, c, &a)
	cmd.Flags().BoolVar(&a.IncludeMaybe, "include-maybe", false, "also what may have been executed")
	return cmd
}

func discard(c *console.Console) *cobra.Command {
	var a cupline.LetterAction
	cmd := &cobra.Command{
		Use: "discard LETTER... --reason WHY", Short: "Let letters go", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return act(cmd, c, args, func(client *cupline.Client, letter string) error {
				l, err := client.DiscardDeadLetter(cmd.Context(), letter, a)
				if err != nil {
					return err
				}
				return c.Result(l, func(w *strings.Builder) { fmt.Fprintf(w, "%s is %s\n", l.LetterID, l.State) })
			})
		},
	}
	actionFlags(cmd, c, &a)
	return cmd
}
