// Package devices is `cupline devices` and `cupline device-types`.
package devices

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/topology"
)

// Command is `cupline devices`.
func Command(c *console.Console) *cobra.Command {
	cmd := &cobra.Command{Use: "devices", Aliases: []string{"device"}, Short: "List, make and delete devices", Args: cobra.NoArgs}
	cmd.AddCommand(list(c), get(c), put(c), remove(c), pause(c, true), pause(c, false), credentials(c), disconnect(c))
	return cmd
}

func list(c *console.Console) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the tenant's devices", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		client, err := connect.Client(c)
		if err != nil {
			return err
		}
		return show(c, client.Devices(cmd.Context()), "device type address labels state", row)
	}}
}

// show prints a list: a line of JSON for each, or a table.
func show[T any](c *console.Console, all iter.Seq2[T, error], header string, row func(T) []string) error {
	var rows [][]string
	for one, err := range all {
		if err != nil {
			return err
		}
		if !c.JSON {
			rows = append(rows, row(one))
		} else if err := c.Line(one); err != nil {
			return err
		}
	}
	if c.JSON {
		return nil
	}
	return c.Result(nil, func(w *strings.Builder) { console.Table(w, header, rows) })
}

func row(d device.Device) []string {
	var labels []string
	for _, name := range slices.Sorted(maps.Keys(d.Labels)) {
		labels = append(labels, name+"="+d.Labels[name])
	}
	return []string{d.ID, d.Type, string(d.Address), strings.Join(labels, ","), held(d.Paused)}
}

// held says whether commands are taken.
func held(p *topology.Pause) string {
	if p == nil {
		return "taken"
	}
	return "paused by " + p.By + ": " + p.Why
}

func get(c *console.Console) *cobra.Command {
	return &cobra.Command{Use: "get DEVICE", Short: "Show one device", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		client, err := connect.Client(c)
		if err != nil {
			return err
		}
		d, err := client.Device(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return c.Result(d, func(w *strings.Builder) { console.Table(w, "device type address labels state", [][]string{row(d)}) })
	}}
}

func put(c *console.Console) *cobra.Command {
	var d device.Device
	var address string
	cmd := &cobra.Command{
		Use: "put DEVICE --type TYPE", Short: "Make or replace a device", Args: cobra.ExactArgs(1),
		Example: `  cupline devices put lamp-1 --type lamp --label room=kitchen
  cupline devices put lamp-2 --type http-lamp --address '{"url":"http://10.0.0.7/rpc"}'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			d.ID = args[0]
			if address != "" {
				if !json.Valid([]byte(address)) {
					return exit.Usagef(`--address %q: must be a JSON object, such as '{"url":"http://10.0.0.7/rpc"}'`, address)
				}
				d.Address = json.RawMessage(address)
			}
			if err := d.Check(); err != nil {
				return exit.With(exit.Usage, err)
			}
			client, err := connect.Client(c)
			if err != nil {
				return err
			}
			stands, err := client.PutDevice(cmd.Context(), d)
			if err != nil {
				return err
			}
			return c.Result(stands, func(w *strings.Builder) { fmt.Fprintf(w, "device %s is a %s\n", stands.ID, stands.Type) })
		},
	}
	cmd.Flags().StringVar(&d.Type, "type", "", "its device type")
	cmd.Flags().StringVar(&address, "address", "", "the driver's own `JSON` object")
	cmd.Flags().StringToStringVar(&d.Labels, "label", nil, "`name=value`; may be given again")
	_ = cmd.MarkFlagRequired("type") // the flag is there
	return cmd
}

func remove(c *console.Console) *cobra.Command {
	return &cobra.Command{Use: "delete DEVICE...", Short: "Delete devices", Args: cobra.MinimumNArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		client, err := connect.Client(c)
		if err != nil {
			return err
		}
		var problems []error
		for _, id := range args {
			if err := client.DeleteDevice(cmd.Context(), id); err != nil {
				problems = append(problems, err)
				continue
			}
			c.Note("deleted device %s", id)
		}
		return errors.Join(problems...)
	}}
}
