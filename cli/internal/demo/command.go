package demo

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
)

// agentPassword is the variable with the password that the agent will log in with.
const agentPassword = "CUPLINE_MQTT_PASSWORD"

// Command is `cupline demo`.
func Command(c *console.Console) *cobra.Command {
	return &cobra.Command{
		Use: "demo", Short: "Make the demo's tenant and device, and let its agent in (operators)", Args: cobra.NoArgs,
		Long: `Make what "cupline up" begins with, on a database and a broker of your own: the tenant "demo" with the
device "host", and the broker's user with which cupline-agent plays it. Needs DATABASE_URL,
RABBITMQ_MANAGEMENT_URL and, for the agent's password, CUPLINE_MQTT_PASSWORD. It may be run again.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			values, err := connect.Require(c, connect.DatabaseURL, connect.ManagementURL, agentPassword)
			if err != nil {
				return err
			}
			pool, err := connect.Database(cmd.Context(), c)
			if err != nil {
				return err
			}
			defer pool.Close()
			if err := Prepare(cmd.Context(), pool); err != nil {
				return err
			}
			if err := Admit(cmd.Context(), strings.TrimRight(values[1], "/"), values[2]); err != nil {
				return err
			}
			c.Note("tenant %s has the device %s; its agent logs in as %s", Tenant, Device, Login())
			return nil
		},
	}
}
