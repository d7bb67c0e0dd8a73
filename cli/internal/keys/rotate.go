package keys

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/schema/device"
)

func rotate(c *console.Console) *cobra.Command {
	var o options
	var overlap, lifetime time.Duration
	var file string
	cmd := &cobra.Command{
		Use: "rotate KEY", Short: "Make a key in place of another, which stays good for a while", Args: cobra.ExactArgs(1),
		Long: `Make a key with the client, scopes and devices of another, and print its token, this once. The old key stays
good for the overlap: give the new token to whoever has the old one meanwhile. The new key is good for as long as
the old one was meant to be, unless --expires-in says otherwise.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			if overlap < 0 || lifetime < 0 {
				return exit.Usagef("--overlap and --expires-in must not be negative")
			}
			r := cupline.Rotation{Overlap: device.Duration(overlap)}
			if lifetime > 0 {
				r.Expires = time.Now().Add(lifetime).Truncate(time.Second)
			}
			turn := func() (created, error) { return rotateKey(cmd, c, o, args[0], r) }
			if file != "" {
				return createInFile(c, file, turn)
			}
			made, err := turn()
			if err != nil {
				return err
			}
			return tellToken(c, made)
		},
	}
	o.add(cmd)
	cmd.Flags().DurationVar(&overlap, "overlap", 24*time.Hour, "how long both keys are good; 0s ends the old one at once")
	cmd.Flags().DurationVar(&lifetime, "expires-in", 0, "how long the new key is good for")
	cmd.Flags().StringVar(&file, "file", "", "keep the token in this new `file` (mode 0600), and print nothing")
	return cmd
}

func rotateKey(cmd *cobra.Command, c *console.Console, o options, id string, r cupline.Rotation) (created, error) {
	if o.database {
		return rotateInDatabase(cmd.Context(), c, o.tenant, id, r)
	}
	client, err := connect.Client(c)
	if err != nil {
		return created{}, err
	}
	token, key, err := client.RotateKey(cmd.Context(), o.tenant, id, r)
	return created{key, token}, err
}
