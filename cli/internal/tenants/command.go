// Package tenants is `cupline tenants`.
package tenants

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	cupline "github.com/cupline/cupline/clients/go"
)

// Command is `cupline tenants`.
func Command(c *console.Console) *cobra.Command {
	cmd := &cobra.Command{
		Use: "tenants", Aliases: []string{"tenant"}, Short: "Make, list and delete tenants", Args: cobra.NoArgs,
		Long: `Make, list and delete tenants. A tenant is the boundary of isolation: every device, key and outcome belongs to
one. The key needs tenants:admin; for any tenant but its own also ops:platform. A new tenant's first key:
cupline keys create --tenant TENANT --client CLIENT.`,
	}
	cmd.AddCommand(put(c), list(c), remove(c))
	return cmd
}

func put(c *console.Console) *cobra.Command {
	var name string
	cmd := &cobra.Command{Use: "put TENANT", Short: "Make a tenant, or rename it", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		client, err := connect.Client(c)
		if err != nil {
			return err
		}
		stands, err := client.PutTenant(cmd.Context(), args[0], name)
		if err != nil {
			return err
		}
		return c.Result(stands, func(w *strings.Builder) { console.Table(w, header, [][]string{row(stands)}) })
	}}
	cmd.Flags().StringVar(&name, "name", "", "a name for people")
	return cmd
}

const header = "tenant name created"

func row(t cupline.Tenant) []string { return []string{t.ID, t.Name, console.Time(t.Created)} }

func list(c *console.Console) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the tenants that the key may see", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		client, err := connect.Client(c)
		if err != nil {
			return err
		}
		var rows [][]string
		for t, err := range client.Tenants(cmd.Context()) {
			if err != nil {
				return err
			}
			if !c.JSON {
				rows = append(rows, row(t))
			} else if err := c.Line(t); err != nil {
				return err
			}
		}
		if c.JSON {
			return nil
		}
		return c.Result(nil, func(w *strings.Builder) { console.Table(w, header, rows) })
	}}
}

func remove(c *console.Console) *cobra.Command {
	return &cobra.Command{
		Use: "delete TENANT", Short: "Delete a tenant that has no keys, device types and devices", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := connect.Client(c)
			if err != nil {
				return err
			}
			if err := client.DeleteTenant(cmd.Context(), args[0]); err != nil {
				return err
			}
			c.Note("deleted tenant %s", args[0])
			return nil
		},
	}
}
