package deadletters

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/action"
	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
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
	action.Flags(cmd, c, &a.Reason, &a.Actor)
	cmd.Flags().StringVar(&a.Tenant, "tenant", "", "another tenant's letters; takes ops:platform")
	_ = cmd.MarkFlagRequired("reason") // the flag is there
}

func redrive(c *console.Console) *cobra.Command {
	var r cupline.Redrive
	var params string
	cmd := &cobra.Command{
		Use: "redrive LETTER... --reason WHY", Short: "Send letters' commands again, as new ones", Args: cobra.MinimumNArgs(1),
		Long: `Send letters' commands again, as new ones: same client, id and bytes, new command id, fresh time-to-live.
What the device may have executed ("maybe") is left alone unless --include-maybe is given, what has died again and
again unless --include-held is given. --params sends other params; the letter keeps both.`,
		Example: `  cupline dead-letters redrive LETTER --params '{"on":true}' --dry-run
  cupline dead-letters redrive LETTER --params '{"on":true}' --reason "on is a boolean"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case params != "" && !json.Valid([]byte(params)):
				return exit.Usagef("--params %q: must be a JSON object or array", params)
			case params != "" && len(args) > 1:
				return exit.Usagef("--params are for one letter")
			case r.Reason == "" && !r.DryRun:
				return exit.Usagef("--reason is missing; it stands in the audit trail")
			}
			r.Params = json.RawMessage(params)
			return act(cmd, c, args, func(client *cupline.Client, letter string) error {
				done, err := client.RedriveDeadLetter(cmd.Context(), letter, r)
				if err != nil {
					return err
				}
				return c.Result(done, func(w *strings.Builder) { tellRedriven(w, &done) })
			})
		},
	}
	actionFlags(cmd, c, &r.LetterAction)
	cmd.Flags().BoolVar(&r.IncludeMaybe, "include-maybe", false, "also what may have been executed")
	cmd.Flags().BoolVar(&r.IncludeHeld, "include-held", false, "also what has died again and again")
	cmd.Flags().StringVar(&params, "params", "", "other params, a `JSON` object or array")
	cmd.Flags().BoolVar(&r.DryRun, "dry-run", false, "only tell what would be changed or refused")
	cmd.Flag("reason").Annotations = nil // a dry run needs none
	return cmd
}

func tellRedriven(w *strings.Builder, r *cupline.Redriven) {
	if r.DryRun {
		fmt.Fprintf(w, "%s would be redriven\n", r.LetterID)
	} else {
		fmt.Fprintf(w, "%s is %s as command %s, redrive %d\n", r.LetterID, r.State, r.RedrivenAs, r.RedriveNumber)
	}
	changes(w, r.Changes)
}

// changes shows what other params make different, as a diff does.
func changes(w *strings.Builder, list []cupline.Change) {
	for _, c := range list {
		at := "params" + c.At
		if c.Old != nil {
			fmt.Fprintf(w, "- %s: %s\n", at, c.Old)
		}
		if c.New != nil {
			fmt.Fprintf(w, "+ %s: %s\n", at, c.New)
		}
	}
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

func undo(c *console.Console) *cobra.Command {
	var a cupline.LetterAction
	cmd := &cobra.Command{
		Use: "undo LETTER... --reason WHY", Short: "Open discarded letters again, within a day", Args: cobra.MinimumNArgs(1),
		Long: "Open discarded letters again, within a day. `job start undo --job JOB` does it for all that a job discarded.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return act(cmd, c, args, func(client *cupline.Client, letter string) error {
				l, err := client.UndoDiscard(cmd.Context(), letter, a)
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
