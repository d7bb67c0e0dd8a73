package deadletters

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/action"
	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	cupline "github.com/cupline/cupline/clients/go"
)

// subjectFlags say what the id that a command names is of.
func subjectFlags(cmd *cobra.Command, tenant *string, group *bool) {
	cmd.Flags().StringVar(tenant, "tenant", "", "another tenant's; takes ops:platform")
	cmd.Flags().BoolVar(group, "group", false, "the id is a group's, as 'groups' tells it")
}

func subject(tenant, id string, group bool) cupline.Subject {
	if group {
		return cupline.Subject{Tenant: tenant, Group: id}
	}
	return cupline.Subject{Tenant: tenant, Letter: id}
}

func note(c *console.Console) *cobra.Command {
	var tenant, actor string
	var group bool
	cmd := &cobra.Command{
		Use: "note LETTER|GROUP [TEXT]", Short: "Write a note on a letter or a group, or read its notes", Args: cobra.RangeArgs(1, 2),
		Example: `  cupline dead-letters note LETTER "asked the shop: it did not run"
  cupline dead-letters note --group GROUP`,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := connect.Client(c)
			if err != nil {
				return err
			}
			on := subject(tenant, args[0], group)
			if len(args) == 2 {
				n, err := client.AddNote(cmd.Context(), on, cupline.Note{Note: args[1], Actor: actor})
				if err != nil {
					return err
				}
				return c.Result(n, func(w *strings.Builder) { fmt.Fprintf(w, "%s  %s: %s\n", console.Time(n.At), n.Actor, n.Note) })
			}
			var rows [][]string
			for n, err := range client.Notes(cmd.Context(), on) {
				if err != nil {
					return err
				}
				if !c.JSON {
					rows = append(rows, []string{console.Time(n.At), n.Actor, n.Note})
				} else if err := c.Line(n); err != nil {
					return err
				}
			}
			if c.JSON {
				return nil
			}
			return c.Result(nil, func(w *strings.Builder) { console.Table(w, "at actor note", rows) })
		},
	}
	subjectFlags(cmd, &tenant, &group)
	action.Actor(cmd, c, &actor)
	return cmd
}

func mark(c *console.Console) *cobra.Command {
	var tenant, assignee string
	var group, nobody bool
	var change cupline.MarkChange
	cmd := &cobra.Command{
		Use: "mark LETTER|GROUP", Short: "Say who looks after a letter or a group, and tag it", Args: cobra.ExactArgs(1),
		Example: `  cupline dead-letters mark LETTER --assignee ann --tag vip
  cupline dead-letters mark --group GROUP --untag storm --nobody`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if assignee != "" && nobody {
				return exit.Usagef("--assignee and --nobody: one of them")
			}
			if assignee != "" || nobody {
				change.Assignee = &assignee
			}
			client, err := connect.Client(c)
			if err != nil {
				return err
			}
			m, err := client.ChangeMarks(cmd.Context(), subject(tenant, args[0], group), change)
			if err != nil {
				return err
			}
			return c.Result(m, func(w *strings.Builder) {
				console.Table(w, "id assignee tags", [][]string{{args[0], m.Assignee, strings.Join(m.Tags, ",")}})
			})
		},
	}
	subjectFlags(cmd, &tenant, &group)
	cmd.Flags().StringVar(&assignee, "assignee", "", "who looks after it")
	cmd.Flags().BoolVar(&nobody, "nobody", false, "nobody looks after it any more")
	cmd.Flags().StringVar(&change.From, "from", "", "who looked after it before, to take it over from them")
	cmd.Flags().StringSliceVar(&change.AddTags, "tag", nil, "add this tag; may be given again")
	cmd.Flags().StringSliceVar(&change.RemoveTags, "untag", nil, "take this tag away; may be given again")
	action.Flags(cmd, c, &change.Reason, &change.Actor)
	return cmd
}
