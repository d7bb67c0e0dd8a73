// Package keeping is `cupline retention` and `cupline erasures`: what is kept for how long, and what is erased on request.
package keeping

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/schema/device"
)

// Retention is `cupline retention`.
func Retention(c *console.Console) *cobra.Command {
	cmd := &cobra.Command{
		Use: "retention", Short: "For how long what has ended is kept", Args: cobra.NoArgs,
		Long: `For how long what has ended is kept: dead letters that were redriven or discarded, the audit trail, decided commands in the
ledger, outcomes in mailboxes that nobody fetched. Open letters and undecided commands are kept for ever.
A tenant that sets nothing has the terms of tenant system, and those are 720h, 2160h, 24h and 168h until they are set.`,
	}
	cmd.AddCommand(show(c), set(c))
	return cmd
}

func show(c *console.Console) *cobra.Command {
	var tenant string
	cmd := &cobra.Command{Use: "show", Short: "Show a tenant's terms, and those in force for it", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		client, err := connect.Client(c)
		if err != nil {
			return err
		}
		r, err := client.Retention(cmd.Context(), tenant)
		if err != nil {
			return err
		}
		return print(c, &r)
	}}
	cmd.Flags().StringVar(&tenant, "tenant", "", "another tenant's, or system's: the platform's; takes ops:platform")
	return cmd
}

func print(c *console.Console, r *cupline.Retention) error {
	return c.Result(r, func(w *strings.Builder) {
		console.Table(w, "of own in-force", [][]string{
			{"letters", term(r.Own.Letters), term(r.InForce.Letters)}, {"audit", term(r.Own.Audit), term(r.InForce.Audit)},
			{"ledger", term(r.Own.Ledger), term(r.InForce.Ledger)}, {"mailbox", term(r.Own.Mailbox), term(r.InForce.Mailbox)},
		})
	})
}

func term(d *device.Duration) string {
	if d == nil {
		return ""
	}
	return time.Duration(*d).String()
}

func set(c *console.Console) *cobra.Command {
	var tenant, reason, actor string
	var letters, audit, ledger, mailbox time.Duration
	cmd := &cobra.Command{
		Use: "set", Short: "Set a tenant's own terms, all of them", Args: cobra.NoArgs,
		Long:    "Set a tenant's own terms, all of them: what is not given is as the platform has it. Takes tenants:admin.",
		Example: `  cupline retention set --letters 240h --audit 8760h --reason "contract of May"`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := connect.Client(c)
			if err != nil {
				return err
			}
			r, err := client.SetRetention(cmd.Context(), tenant, cupline.RetentionTerms{
				Letters: given(letters), Audit: given(audit), Ledger: given(ledger), Mailbox: given(mailbox),
			}, reason, actor)
			if err != nil {
				return err
			}
			return print(c, &r)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&tenant, "tenant", "", "another tenant's, or system's: the platform's; takes ops:platform")
	flags.DurationVar(&letters, "letters", 0, "letters that were redriven or discarded, and jobs; 24h or more")
	flags.DurationVar(&audit, "audit", 0, "the audit trail; 24h or more")
	flags.DurationVar(&ledger, "ledger", 0, "decided commands; in force never shorter than lanes may hold a command, and an hour")
	flags.DurationVar(&mailbox, "mailbox", 0, "outcomes that nobody fetched; 1m or more")
	flags.StringVar(&reason, "reason", "", "why")
	flags.StringVar(&actor, "actor", "", "who; the key is noted in any case")
	_ = cmd.MarkFlagRequired("reason") // the flag is there
	return cmd
}

func given(d time.Duration) *device.Duration {
	if d == 0 {
		return nil
	}
	given := device.Duration(d)
	return &given
}
