// Package listen is `cupline listen`.
package listen

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	cupline "github.com/cupline/cupline/clients/go"
)

// Command is `cupline listen`.
func Command(c *console.Console) *cobra.Command {
	var count, window int
	cmd := &cobra.Command{
		Use:   "listen",
		Short: "Print outcomes as they come",
		Long: `Print each outcome that comes for this key's client, one a line, beginning with those that waited
in its mailbox. What is printed is acked, and does not come again. It connects again by itself whenever
the connection is lost, until Ctrl-C. What it says of the connection goes to standard error.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if count < 0 || window < 0 || window > 64 {
				return exit.Usagef("--count must not be negative, and --window be 1 to 64")
			}
			return listen(cmd.Context(), c, count, window)
		},
	}
	cmd.Flags().IntVar(&count, "count", 0, "end after this many outcomes; 0 goes on until Ctrl-C")
	cmd.Flags().IntVar(&window, "window", 0, "how many outcomes may be unacked; 0 is as many as the platform gives")
	return cmd
}

func listen(ctx context.Context, c *console.Console, count, window int) error {
	client, err := connect.Pushed(c)
	if err != nil {
		return err
	}
	enough := make(chan error, 1)
	printed := 0
	listener, err := client.Listen(cupline.ListenConfig{Window: window, Handle: func(ctx context.Context, o cupline.Outcome) error {
		if count > 0 && printed == count {
			<-ctx.Done() // it is not ours to take
			return ctx.Err()
		}
		if err := show(c, o); err != nil {
			enough <- err // nobody reads on, so it must not be acked
			<-ctx.Done()
			return err
		}
		if printed++; printed == count {
			enough <- nil
		}
		return nil
	}})
	if err != nil {
		return err
	}
	err = follow(ctx, c, listener, enough)
	if closed := listener.Close(); closed != nil {
		return closed
	}
	return err
}

// follow tells of the connection's states until there were enough outcomes, ctx is done, or
// the listener ends.
func follow(ctx context.Context, c *console.Console, listener *cupline.Listener, enough <-chan error) error {
	var told string
	for {
		changed := listener.Changed()
		if line := describe(listener.Status()); line != told && line != "" {
			c.Note("%s", line)
			told = line
		}
		select {
		case <-changed:
		case <-listener.Done():
			return nil
		case <-ctx.Done():
			return nil // Ctrl-C is the way to end this
		case err := <-enough:
			return err
		}
	}
}

func describe(s cupline.Status) string {
	switch s.State {
	case cupline.Online:
		line := fmt.Sprintf("listening as client %s", s.Client)
		if s.Waiting > 0 {
			line += fmt.Sprintf(", %d waiting in the mailbox", s.Waiting)
		}
		if s.Missed > 0 {
			line += fmt.Sprintf(", %d refused because it was full", s.Missed)
		}
		return line
	case cupline.Lagging:
		return "lagging: outcomes come by way of the mailbox"
	case cupline.Recovering, cupline.Offline:
		return fmt.Sprintf("%s, trying again: %v", s.State, s.Err)
	}
	return ""
}

// show prints one outcome as a line.
func show(c *console.Console, o cupline.Outcome) error {
	return c.Result(o, func(w *strings.Builder) {
		id := string(o.ID)
		if o.Redrive > 0 {
			id += fmt.Sprintf(" (redrive %d)", o.Redrive)
		}
		said, err := o.Result()
		if err != nil {
			said = []byte("! " + err.Error())
		}
		fmt.Fprintf(w, "%s  %s  %s  %s  %s\n", o.At.Local().Format("15:04:05.000"), id, o.Device, o.Method, said)
	})
}
