package deadletters

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	cupline "github.com/cupline/cupline/clients/go"
)

func show(c *console.Console) *cobra.Command {
	var tenant string
	cmd := &cobra.Command{Use: "show LETTER", Short: "Show one letter whole", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		client, err := connect.Client(c)
		if err != nil {
			return err
		}
		l, err := client.DeadLetter(cmd.Context(), tenant, args[0])
		if err != nil {
			return err
		}
		return c.Result(l, func(w *strings.Builder) { describe(w, &l) })
	}}
	cmd.Flags().StringVar(&tenant, "tenant", "", "another tenant's letter; takes ops:platform")
	return cmd
}

func describe(w *strings.Builder, l *cupline.WholeLetter) {
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%-12s%s\n", name, strings.ReplaceAll(value, "\n", "\n            "))
		}
	}
	field("letter", l.LetterID)
	field("state", l.State)
	field("reason", fmt.Sprintf("%s, executed: %s", l.Reason, l.Executed))
	field("detail", l.Detail)
	field("died", console.Time(l.DiedAt))
	device := l.Device
	if l.DeviceType != "" { // garbage tells none
		device += " (" + l.DeviceType + ")"
	}
	field("device", device+", lane "+l.Lane)
	field("method", l.Method)
	field("client", l.Client)
	field("id", string(l.ID))
	if l.CommandID != "" {
		field("command", fmt.Sprintf("%s, redrive %d", l.CommandID, l.Redrive))
	}
	field("redrive of", l.RedriveOf)
	if l.RedrivenAs != "" {
		field("redriven", fmt.Sprintf("as %s, redrive %d", l.RedrivenAs, l.RedriveNumber))
	}
	if l.ChangedBy != "" {
		field("changed", fmt.Sprintf("%s by %s: %s", console.Time(l.ChangedAt), l.ChangedBy, l.ChangedWhy))
	}
	if l.Held {
		field("held", fmt.Sprintf("redrive %d died, too: redriving it once more takes --include-held", l.Redrive))
	}
	field("assignee", l.Assignee)
	field("tags", strings.Join(l.Tags, ", "))
	field("group", strings.Join(slices.DeleteFunc([]string{l.Group, l.GroupMark.Assignee, strings.Join(l.GroupMark.Tags, " ")},
		func(part string) bool { return part == "" }), ", "))
	switch {
	case string(l.Told) == "null":
		field("told", "nobody")
	case l.DeliveredAt != nil:
		field("told", "as below; the client acked it "+console.Time(*l.DeliveredAt))
	default:
		field("told", "as below; not delivered yet")
	}
	contents(w, l)
}

func contents(w *strings.Builder, l *cupline.WholeLetter) {
	for _, part := range []struct {
		name string
		json json.RawMessage
	}{{"told", l.Told}, {"payload (" + l.PayloadEncoding + ")", l.Payload}, {"properties", l.Properties}, {"headers", l.Headers}, {"deaths", l.Deaths}} {
		if part.name == "told" && string(part.json) == "null" {
			continue
		}
		var pretty bytes.Buffer
		if json.Indent(&pretty, part.json, "  ", "  ") != nil {
			pretty.Write(part.json)
		}
		fmt.Fprintf(w, "\n%s\n  %s\n", part.name, pretty.String())
	}
	if len(l.Changes) > 0 {
		fmt.Fprint(w, "\nsent with other params\n")
		changes(w, l.Changes)
	}
	if len(l.Notes) > 0 {
		fmt.Fprint(w, "\nnotes\n")
	}
	for _, n := range l.Notes {
		fmt.Fprintf(w, "  %s  %s: %s\n", console.Time(n.At), n.Actor, n.Note)
	}
	fmt.Fprint(w, "\nevents\n")
	Events(w, l.Events)
	if len(l.Related) > 0 {
		fmt.Fprint(w, "\nrelated letters\n")
		var rows [][]string
		for i := range l.Related {
			rows = append(rows, row(&l.Related[i]))
		}
		console.Table(w, header, rows)
	}
}

// Events writes a command's life as a table.
func Events(w *strings.Builder, events []cupline.Event) {
	var rows [][]string
	for _, e := range events {
		rows = append(rows, []string{e.At.Local().Format("2006-01-02 15:04:05.000"), e.Event, e.Reason, e.Actor, e.Detail})
	}
	console.Table(w, "at event reason actor detail", rows)
}
