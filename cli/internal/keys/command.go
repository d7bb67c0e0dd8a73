// Package keys is `cupline keys`: through the API, or with --database straight into the
// database, which is how an installation gets its first key.
package keys

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/schema/device"
)

// defaultScopes are those of a client that sends commands and hears of their outcomes.
var defaultScopes = []string{"commands:send", "replies:read"}

// options are the flags that several commands share.
type options struct {
	database bool
	tenant   string
}

func (o *options) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.database, "database", false, "work on "+connect.DatabaseURL+" itself, not through the API; needs --tenant")
	cmd.Flags().StringVar(&o.tenant, "tenant", "", "the key's tenant; through the API another than your own takes ops:platform")
}

func (o *options) check() error {
	if o.database && o.tenant == "" {
		return exit.Usagef("--database needs --tenant: whose keys?")
	}
	return nil
}

// Command is `cupline keys`.
func Command(c *console.Console) *cobra.Command {
	cmd := &cobra.Command{Use: "keys", Aliases: []string{"key"}, Short: "Make, list, rotate and revoke API keys", Args: cobra.NoArgs}
	cmd.AddCommand(create(c), list(c), rotate(c), revoke(c))
	return cmd
}

func create(c *console.Console) *cobra.Command {
	var o options
	var n cupline.NewKey
	var lifetime time.Duration
	var secret, file, pattern string
	var labels map[string]string
	cmd := &cobra.Command{
		Use: "create --client CLIENT", Short: "Make a key", Args: cobra.NoArgs,
		Long: `Make a key for a client, and print its token: this once, only a hash of it is kept. The first key
of an installation is made with --database, which makes the tenant, too, where it is missing. With --file
the token is kept in a file that only you can read, and not printed.

With --devices or --label the key reaches some devices only; others do not exist for it. All good keys of one
client reach the same ones, because outcomes are told to the client.

Scopes: commands:send, replies:read, devices:read, devices:write, ops:read, ops:write, ops:platform,
tenants:admin.`,
		Example: `  cupline keys create --database --tenant acme --client admin --scope tenants:admin,devices:write,devices:read
  cupline keys create --client web`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			if lifetime < 0 {
				return exit.Usagef("--expires-in must not be negative")
			}
			if lifetime > 0 {
				n.Expires = time.Now().Add(lifetime).Truncate(time.Second)
			}
			if pattern != "" || len(labels) > 0 {
				n.Devices = &device.Reach{Pattern: pattern, Labels: labels}
			}
			if secret != "" && file != "" {
				return exit.Usagef("--file and --kubernetes-secret are both given: where is the token to be kept?")
			}
			if file != "" {
				return createInFile(c, file, func() (created, error) { return makeKey(cmd, c, o, n) })
			}
			if secret != "" {
				return createInSecret(cmd.Context(), c, o, secret, n)
			}
			made, err := makeKey(cmd, c, o, n)
			if err != nil {
				return err
			}
			return tellToken(c, made)
		},
	}
	o.add(cmd)
	cmd.Flags().StringVar(&pattern, "devices", "", "only devices whose id matches this `pattern`, such as lamp-*")
	cmd.Flags().StringToStringVar(&labels, "label", nil, "only devices with this label, `name=value`")
	cmd.Flags().StringVar(&file, "file", "", "keep the token in this new `file` (mode 0600), and print nothing")
	cmd.Flags().StringVar(&n.Client, "client", "", "the client that the key stands for")
	cmd.Flags().StringVar(&n.Name, "name", "", "a name for people")
	cmd.Flags().StringSliceVar(&n.Scopes, "scope", defaultScopes, "what the key may do")
	cmd.Flags().DurationVar(&lifetime, "expires-in", 0, "how long it is good for; for ever unless told")
	cmd.Flags().StringVar(&secret, "kubernetes-secret", "",
		"in a pod, with --database: keep the token in this `Secret`, and print nothing; nothing is made where the Secret exists and the database has keys")
	_ = cmd.MarkFlagRequired("client") // the flag is there
	return cmd
}

// created is a key with its token.
type created struct {
	cupline.Key
	Token string `json:"token"`
}

func makeKey(cmd *cobra.Command, c *console.Console, o options, n cupline.NewKey) (created, error) {
	if o.database {
		return makeInDatabase(cmd.Context(), c, o.tenant, n)
	}
	client, err := connect.Client(c)
	if err != nil {
		return created{}, err
	}
	token, key, err := client.CreateKeyOf(cmd.Context(), o.tenant, n)
	return created{key, token}, err
}

func tellToken(c *console.Console, made created) error {
	return c.Result(made, func(w *strings.Builder) {
		fmt.Fprintln(w, made.Token)
		c.Note("made key %s for client %s; the token above is not shown again", made.ID, made.Client)
	})
}

func list(c *console.Console) *cobra.Command {
	var o options
	cmd := &cobra.Command{Use: "list", Short: "List the tenant's keys, the revoked included", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		if err := o.check(); err != nil {
			return err
		}
		keys, err := read(cmd, c, o)
		if err != nil {
			return err
		}
		if c.JSON {
			for _, k := range keys {
				if err := c.Line(k); err != nil {
					return err
				}
			}
			return nil
		}
		return c.Result(nil, func(w *strings.Builder) {
			var rows [][]string
			for _, k := range keys {
				rows = append(rows, []string{
					k.ID, k.Client, k.Name, strings.Join(k.Scopes, ","), reach(k), state(k), console.Time(k.Created), console.Time(k.LastUsed),
				})
			}
			console.Table(w, "key client name scopes devices state created last-used", rows)
		})
	}}
	o.add(cmd)
	return cmd
}

// reach is which devices a key is for; empty for all.
func reach(k cupline.Key) string {
	if k.Devices == nil {
		return ""
	}
	parts := []string{}
	if k.Devices.Pattern != "" {
		parts = append(parts, k.Devices.Pattern)
	}
	for _, name := range slices.Sorted(maps.Keys(k.Devices.Labels)) {
		parts = append(parts, name+"="+k.Devices.Labels[name])
	}
	return strings.Join(parts, ",")
}

func state(k cupline.Key) string {
	switch {
	case !k.Revoked.IsZero():
		return "revoked"
	case !k.Expires.IsZero() && time.Now().After(k.Expires):
		return "expired"
	case !k.Expires.IsZero():
		return "until " + console.Time(k.Expires)
	}
	return "valid"
}

func read(cmd *cobra.Command, c *console.Console, o options) ([]cupline.Key, error) {
	if o.database {
		return readDatabase(cmd.Context(), c, o.tenant)
	}
	client, err := connect.Client(c)
	if err != nil {
		return nil, err
	}
	var keys []cupline.Key
	for k, err := range client.KeysOf(cmd.Context(), o.tenant) {
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

func revoke(c *console.Console) *cobra.Command {
	var o options
	cmd := &cobra.Command{Use: "revoke KEY", Short: "Revoke a key, at once and for good", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		if err := o.check(); err != nil {
			return err
		}
		if o.database {
			if err := revokeInDatabase(cmd.Context(), c, o.tenant, args[0]); err != nil {
				return err
			}
		} else {
			client, err := connect.Client(c)
			if err != nil {
				return err
			}
			if err := client.RevokeKeyOf(cmd.Context(), o.tenant, args[0]); err != nil {
				return err
			}
		}
		c.Note("revoked key %s", args[0])
		return nil
	}}
	o.add(cmd)
	return cmd
}
