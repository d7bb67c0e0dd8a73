package devices

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/schema/device"
)

func credentials(c *console.Console) *cobra.Command {
	cmd := &cobra.Command{
		Use: "credentials", Aliases: []string{"credential"}, Short: "Make, list, replace and revoke what devices log in with", Args: cobra.NoArgs,
		Long: `Make, list, replace and revoke what devices log in to the broker's MQTT listener with. A device's user name is
TENANT/DEVICE; its client id must be the same, or begin with it and a slash.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(createCredential(c), rotate(c), listCredentials(c), revoke(c))
	return cmd
}

func createCredential(c *console.Console) *cobra.Command {
	var lifetime time.Duration
	cmd := &cobra.Command{
		Use: "create DEVICE", Short: "Make a credential, beside those that the device has", Args: cobra.ExactArgs(1),
		Long: `Make a credential for a device, and print its user name and password: this once, only a hash is kept. It is good
beside those that the device has.`,
		RunE: func(cmd *cobra.Command, args []string) error { return issue(cmd, c, args[0], lifetime, nil) },
	}
	cmd.Flags().DurationVar(&lifetime, "expires-in", 0, "after which it is no longer good; never unless told")
	return cmd
}

func rotate(c *console.Console) *cobra.Command {
	var lifetime, overlap time.Duration
	cmd := &cobra.Command{
		Use: "rotate DEVICE", Short: "Replace the device's credentials by a new one", Args: cobra.ExactArgs(1),
		Long: `Make a credential for a device, and let those that it has end after --overlap: time enough to bring the new one
to the device. ` + "`cupline devices credentials list`" + ` tells when each was last used.`,
		RunE: func(cmd *cobra.Command, args []string) error { return issue(cmd, c, args[0], lifetime, &overlap) },
	}
	cmd.Flags().DurationVar(&overlap, "overlap", 24*time.Hour, "for which the old ones stay good, up to 720h")
	cmd.Flags().DurationVar(&lifetime, "expires-in", 0, "after which the new one is no longer good; never unless told")
	return cmd
}

// issue makes one credential and prints it.
func issue(cmd *cobra.Command, c *console.Console, id string, lifetime time.Duration, overlap *time.Duration) error {
	var n cupline.NewDeviceCredential
	if lifetime > 0 {
		n.Expires = time.Now().Add(lifetime)
	}
	if overlap != nil {
		d := device.Duration(*overlap)
		n.Overlap = &d
	}
	client, err := connect.Client(c)
	if err != nil {
		return err
	}
	made, err := client.CreateDeviceCredential(cmd.Context(), id, n)
	if err != nil {
		return err
	}
	return c.Result(made, func(w *strings.Builder) {
		fmt.Fprintf(w, "username %s\npassword %s\n", made.Username, made.Password)
		c.Note("the password is shown this once; the MQTT client id is the user name, or begins with it and a slash")
	})
}

func listCredentials(c *console.Console) *cobra.Command {
	return &cobra.Command{Use: "list DEVICE", Short: "List a device's credentials, the newest first", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		client, err := connect.Client(c)
		if err != nil {
			return err
		}
		found, err := client.DeviceCredentials(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return c.Result(found, func(w *strings.Builder) {
			var rows [][]string
			for _, one := range found {
				rows = append(rows, []string{one.ID, console.Time(one.Created), console.Time(one.LastLogin), console.Time(one.Expires), console.Time(one.Revoked)})
			}
			console.Table(w, "credential made last-login expires revoked", rows)
		})
	}}
}

func revoke(c *console.Console) *cobra.Command {
	return &cobra.Command{
		Use: "revoke DEVICE CREDENTIAL", Short: "Revoke a credential, at once and for good", Args: cobra.ExactArgs(2),
		Long: `Revoke a credential, at once and for good: nobody logs in with it any more. A connection that it made before is ended
within 5 s where a dispatcher has CUPLINE_DEVICES_MANAGEMENT_URL; elsewhere ` + "`cupline devices disconnect`" + ` ends it.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := connect.Client(c)
			if err != nil {
				return err
			}
			if err := client.RevokeDeviceCredential(cmd.Context(), args[0], args[1]); err != nil {
				return err
			}
			c.Note("revoked credential %s of device %s", args[1], args[0])
			return nil
		},
	}
}
