package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
)

// Command is `cupline demo`.
func Command(c *console.Console) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "demo --password-file FILE", Short: "Make the demo's tenant and device, and let its agent in (operators)", Args: cobra.NoArgs,
		Long: `Make what "cupline up" begins with, on a database of your own: the tenant "demo" with the device "host", and a
credential with which cupline-agent plays it, whose password goes to a file for CUPLINE_MQTT_PASSWORD_FILE. Needs
DATABASE_URL. It may be run again: a password in the file that is good stays.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			pool, err := connect.Database(cmd.Context(), c)
			if err != nil {
				return err
			}
			defer pool.Close()
			if err := Prepare(cmd.Context(), pool); err != nil {
				return err
			}
			if err := admitInto(cmd.Context(), pool, file); err != nil {
				return err
			}
			c.Note("tenant %s has the device %s; its agent logs in as %s with the password in %s", Tenant, Device, Login(), file)
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "password-file", "", "`file` for the agent's password, readable by its owner only")
	_ = cmd.MarkFlagRequired("password-file") // the flag is there
	return cmd
}

// admitInto keeps the file's password if it is good, and else writes a new one.
func admitInto(ctx context.Context, pool *postgres.Pool, file string) error {
	if kept, err := os.ReadFile(file); err == nil && admitted(ctx, pool, strings.TrimSpace(string(kept))) {
		return nil
	}
	password, err := Admit(ctx, pool)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("make the folder of the agent's password: %w", err)
	}
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the agent's password: %w", err)
	}
	return nil
}
