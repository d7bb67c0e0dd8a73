package devices

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	"github.com/cupline/cupline/schema/device"
)

// Types is `cupline device-types`.
func Types(c *console.Console) *cobra.Command {
	cmd := &cobra.Command{Use: "device-types", Aliases: []string{"types"}, Short: "List, make and delete device types", Args: cobra.NoArgs}
	cmd.AddCommand(listTypes(c), getType(c), putType(c), removeType(c))
	return cmd
}

func listTypes(c *console.Console) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the tenant's device types", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		client, err := connect.Client(c)
		if err != nil {
			return err
		}
		return show(c, client.DeviceTypes(cmd.Context()), "type lane driver methods", func(t device.Type) []string {
			return []string{t.Name, t.Lane, t.Driver, strings.Join(slices.Sorted(maps.Keys(t.Methods)), ",")}
		})
	}}
}

func getType(c *console.Console) *cobra.Command {
	return &cobra.Command{Use: "get TYPE", Short: "Show one device type and its methods", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		client, err := connect.Client(c)
		if err != nil {
			return err
		}
		t, err := client.DeviceType(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return c.Result(t, func(w *strings.Builder) { describe(w, t) })
	}}
}

func describe(w *strings.Builder, t device.Type) {
	fmt.Fprintf(w, "type %s, lane %s, driver %s\n\n", t.Name, t.Lane, t.Driver)
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(t.Methods)) {
		policy, idempotent := t.Method(name), "no"
		if policy.Idempotent {
			idempotent = "yes"
		}
		rows = append(rows, []string{
			name, idempotent, time.Duration(policy.Timeout).String(), time.Duration(policy.TTL).String(), string(policy.Params),
		})
	}
	console.Table(w, "method idempotent timeout ttl params", rows)
}

func putType(c *console.Console) *cobra.Command {
	var file, lane, driver string
	cmd := &cobra.Command{
		Use: "put TYPE --file FILE", Short: "Make or replace a device type", Args: cobra.ExactArgs(1),
		Long: `Make or replace a device type. FILE holds it as JSON, "-" for standard input:

  {"lane":"default","driver":"mqtt","methods":{"relay.set":{"idempotent":false,"timeout":"5s","ttl":"60s",
   "params":{"type":"object","required":["on"],"properties":{"on":{"type":"boolean"}}}}}}

--lane and --driver win over what the file says; without a file the type has no methods described.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := readType(c.In, file)
			if err != nil {
				return err
			}
			t.Name = args[0]
			if lane != "" {
				t.Lane = lane
			}
			if driver != "" {
				t.Driver = driver
			}
			if err := t.Check(); err != nil {
				return exit.With(exit.Usage, err)
			}
			client, err := connect.Client(c)
			if err != nil {
				return err
			}
			stands, err := client.PutDeviceType(cmd.Context(), t)
			if err != nil {
				return err
			}
			return c.Result(stands, func(w *strings.Builder) { describe(w, stands) })
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "`file` with the type as JSON")
	cmd.Flags().StringVar(&lane, "lane", "", "its lane")
	cmd.Flags().StringVar(&driver, "driver", "", "its driver: mqtt or http")
	return cmd
}

func readType(in io.Reader, file string) (t device.Type, err error) {
	var content []byte
	switch file {
	case "":
		return t, nil
	case "-":
		content, err = io.ReadAll(in)
	default:
		content, err = os.ReadFile(file)
	}
	if err != nil {
		return t, exit.Usagef("--file: %w", err)
	}
	if err := json.Unmarshal(content, &t); err != nil {
		return t, exit.Usagef("--file %s: %w", file, err)
	}
	return t, nil
}

func removeType(c *console.Console) *cobra.Command {
	return &cobra.Command{Use: "delete TYPE...", Short: "Delete device types that no device has", Args: cobra.MinimumNArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		client, err := connect.Client(c)
		if err != nil {
			return err
		}
		var problems []error
		for _, name := range args {
			if err := client.DeleteDeviceType(cmd.Context(), name); err != nil {
				problems = append(problems, err)
				continue
			}
			c.Note("deleted device type %s", name)
		}
		return errors.Join(problems...)
	}}
}
