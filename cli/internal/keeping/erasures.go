package keeping

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	cupline "github.com/cupline/cupline/clients/go"
)

// Erasures is `cupline erasures`.
func Erasures(c *console.Console) *cobra.Command {
	cmd := &cobra.Command{
		Use: "erasures", Aliases: []string{"erasure"}, Short: "Erase a client's payloads, or a whole tenant's", Args: cobra.NoArgs,
		Long: `Erase a client's payloads, or a whole tenant's: dead letters are emptied and open ones discarded, outcomes and decided commands
deleted. Ids, names, reasons and times stay. What was under way is erased in a second round, at the time in DUE.`,
	}
	cmd.AddCommand(start(c), list(c), one(c))
	return cmd
}

func start(c *console.Console) *cobra.Command {
	var n cupline.NewErasure
	cmd := &cobra.Command{
		Use: "start", Short: "Erase, in the background", Args: cobra.NoArgs,
		Example: `  cupline erasures start --client web-42 --reason "asked by letter"
  cupline erasures start --whole-tenant --tenant acme --reason "they left"`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if n.WholeTenant == (n.Client != "") {
				return exit.Usagef("give --client, or --whole-tenant")
			}
			client, err := connect.Client(c)
			if err != nil {
				return err
			}
			e, err := client.Erase(cmd.Context(), n)
			if err != nil {
				return err
			}
			return tell(c, e)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&n.Tenant, "tenant", "", "another tenant's; takes ops:platform")
	flags.StringVar(&n.Client, "client", "", "whose payloads")
	flags.BoolVar(&n.WholeTenant, "whole-tenant", false, "all clients' payloads; the keys and devices' credentials are revoked at once")
	flags.StringVar(&n.Reason, "reason", "", "why")
	flags.StringVar(&n.Actor, "actor", "", "who; the key is noted in any case")
	_ = cmd.MarkFlagRequired("reason") // the flag is there
	return cmd
}

func list(c *console.Console) *cobra.Command {
	var tenant string
	cmd := &cobra.Command{Use: "list", Short: "List erasures, the newest first", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		client, err := connect.Client(c)
		if err != nil {
			return err
		}
		all, err := client.Erasures(cmd.Context(), tenant)
		if err != nil {
			return err
		}
		return tell(c, all...)
	}}
	cmd.Flags().StringVar(&tenant, "tenant", "", "another tenant's; takes ops:platform")
	return cmd
}

func one(c *console.Console) *cobra.Command {
	var tenant string
	cmd := &cobra.Command{Use: "show ERASURE", Short: "Show how far one is", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		client, err := connect.Client(c)
		if err != nil {
			return err
		}
		e, err := client.Erasure(cmd.Context(), tenant, args[0])
		if err != nil {
			return err
		}
		return tell(c, e)
	}}
	cmd.Flags().StringVar(&tenant, "tenant", "", "another tenant's; takes ops:platform")
	return cmd
}

func tell(c *console.Console, all ...cupline.Erasure) error {
	var rows [][]string
	for _, e := range all {
		if c.JSON {
			if err := c.Line(e); err != nil {
				return err
			}
			continue
		}
		whose := e.Client
		if whose == "" {
			whose = "(all)"
		}
		rows = append(rows, []string{
			e.ErasureID, whose, e.State, strconv.FormatInt(e.Letters, 10), strconv.FormatInt(e.Outcomes, 10), strconv.FormatInt(e.Commands, 10),
			console.Time(e.CreatedAt), at(e.DueAt), at(e.FinishedAt), e.Reason,
		})
	}
	if c.JSON {
		return nil
	}
	return c.Result(nil, func(w *strings.Builder) {
		console.Table(w, "erasure client state letters outcomes commands asked due done reason", rows)
	})
}

func at(t *time.Time) string {
	if t == nil {
		return ""
	}
	return console.Time(*t)
}
