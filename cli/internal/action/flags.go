// Package action has the flags of whoever changes something: who does it, and why.
package action

import (
	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/console"
)

// Flags are --reason and --actor.
func Flags(cmd *cobra.Command, c *console.Console, reason, actor *string) {
	cmd.Flags().StringVar(reason, "reason", "", "why; it stands in the audit trail")
	Actor(cmd, c, actor)
}

// Actor is --actor alone: who is at the terminal, unless told otherwise.
func Actor(cmd *cobra.Command, c *console.Console, actor *string) {
	cmd.Flags().StringVar(actor, "actor", c.User(), "who you are")
}
