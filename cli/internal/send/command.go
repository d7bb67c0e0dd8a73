// Package send is `cupline send`.
package send

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	cupline "github.com/cupline/cupline/clients/go"
)

// options are the flags.
type options struct {
	send    cupline.SendOptions
	wait    bool
	timeout time.Duration
}

// Command is `cupline send`.
func Command(c *console.Console) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "send DEVICE METHOD [PARAMS]",
		Short: "Send a command to a device",
		Long: `Send a command to a device. PARAMS is a JSON object or array; "-" reads it from standard input.

Without --wait it prints what was accepted, and the outcome goes to whoever listens with this key, or
waits in its mailbox. With --wait it prints the device's response, or the platform's in its place: the
JSON-RPC response as it came, or with --output json the whole outcome around it. Other outcomes that
arrive meanwhile are left alone.`,
		Example: `  cupline send host host.load --wait
  cupline send lamp-1 relay.set '{"on":true}' --id c-42 --ttl 30s`,
		Args: cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			params, err := readParams(c.In, args[2:])
			if err != nil {
				return err
			}
			if o.wait && o.send.OneWay {
				return exit.Usagef("--wait and --one-way: a one-way command has no outcome to wait for")
			}
			if o.send.TTL < 0 || o.timeout <= 0 {
				return exit.Usagef("--ttl and --timeout must be positive, such as 30s")
			}
			if o.wait {
				return sendAndWait(cmd.Context(), c, args[0], args[1], params, o)
			}
			return sendOnly(cmd, c, args[0], args[1], params, o)
		},
	}
	cmd.Flags().StringVar(&o.send.ID, "id", "", "your own `id` for the command; a UUID unless told. The same id again is not executed again")
	cmd.Flags().DurationVar(&o.send.TTL, "ttl", 0, "how long it may wait before it is started; the method's policy unless told")
	cmd.Flags().BoolVar(&o.send.OneWay, "one-way", false, "send without an id: no outcome comes back")
	cmd.Flags().BoolVar(&o.wait, "wait", false, "wait for the outcome and print it")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 2*time.Minute, "how long --wait waits for the outcome")
	return cmd
}

// readParams checks the params before anything is sent; nil when there are none.
func readParams(in io.Reader, args []string) (any, error) {
	if len(args) == 0 {
		return nil, nil
	}
	text := []byte(args[0])
	if args[0] == "-" {
		var err error
		if text, err = io.ReadAll(in); err != nil {
			return nil, fmt.Errorf("read PARAMS from standard input: %w", err)
		}
	}
	var value json.RawMessage
	if err := json.Unmarshal(text, &value); err != nil {
		return nil, exit.Usagef("PARAMS: %w; write a JSON object, such as '{\"on\":true}', in quotes for the shell", err)
	}
	return value, nil
}

func sendOnly(cmd *cobra.Command, c *console.Console, device, method string, params any, o options) error {
	client, err := connect.Client(c)
	if err != nil {
		return err
	}
	accepted, err := client.Send(cmd.Context(), device, method, params, o.send)
	if err != nil {
		return err
	}
	return c.Result(accepted, func(w *strings.Builder) {
		what := string(accepted.ID) + " as command " + accepted.CommandID
		if o.send.OneWay {
			what = "command " + accepted.CommandID
		}
		fmt.Fprintf(w, "accepted %s, to be started by %s\n", what, console.Time(accepted.ExpiresAt))
	})
}
