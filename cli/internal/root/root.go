// Package root puts the commands together and turns errors into exit codes.
package root

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/audit"
	"github.com/cupline/cupline/cli/internal/commands"
	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/deadletters"
	"github.com/cupline/cupline/cli/internal/demo"
	"github.com/cupline/cupline/cli/internal/devices"
	"github.com/cupline/cupline/cli/internal/doctor"
	"github.com/cupline/cupline/cli/internal/exit"
	"github.com/cupline/cupline/cli/internal/history"
	"github.com/cupline/cupline/cli/internal/keeping"
	"github.com/cupline/cupline/cli/internal/keys"
	"github.com/cupline/cupline/cli/internal/lanes"
	"github.com/cupline/cupline/cli/internal/listen"
	"github.com/cupline/cupline/cli/internal/migrate"
	"github.com/cupline/cupline/cli/internal/queues"
	"github.com/cupline/cupline/cli/internal/send"
	"github.com/cupline/cupline/cli/internal/tenants"
	"github.com/cupline/cupline/cli/internal/topology"
	"github.com/cupline/cupline/cli/internal/up"
	"github.com/cupline/cupline/cli/internal/verify"
	cupline "github.com/cupline/cupline/clients/go"
)

// Run executes one command line and returns the exit code. ctx ends with Ctrl-C.
func Run(ctx context.Context, c *console.Console, args []string) int {
	var output string
	started := false // past it, an error is no longer one of the command line
	cmd := &cobra.Command{
		Use:   "cupline",
		Short: "Send commands to devices, and see what became of them",
		Long: `Send commands to devices, and see what became of them.

` + connect.Variables + `

` + exit.Table,
		SilenceErrors: true, SilenceUsage: true, Args: cobra.NoArgs,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := cmd.ValidateRequiredFlags(); err != nil {
				return err
			}
			if output != "text" && output != "json" {
				return fmt.Errorf("--output %q: must be text or json", output)
			}
			c.JSON = output == "json"
			started = true
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVarP(&output, "output", "o", "text", "text for people, or json")
	cmd.SetIn(c.In)
	cmd.SetOut(c.Out)
	cmd.SetErr(c.Err)
	cmd.SetArgs(args)
	cmd.AddCommand(
		send.Command(c), listen.Command(c), devices.Command(c), devices.Types(c), keys.Command(c), tenants.Command(c),
		deadletters.Command(c), audit.Command(c), history.Command(c), commands.Command(c), queues.Command(c),
		keeping.Retention(c), keeping.Erasures(c),
		lanes.Command(c), topology.Command(c), migrate.Command(c), doctor.Command(c), verify.Command(c), up.Command(), demo.Command(c),
	)
	for _, group := range cmd.Commands() {
		if group.HasSubCommands() {
			group.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
	called, err := cmd.ExecuteContextC(ctx)
	if err != nil && !started {
		err = exit.With(exit.Usage, fmt.Errorf("%w\nusage: %s; --help tells more", err, called.UseLine()))
	}
	report(c, err)
	return exit.Code(err)
}

// failure is an error as JSON.
type failure struct {
	Error    string           `json:"error"`
	ExitCode int              `json:"exit_code"`
	Problem  *cupline.Problem `json:"problem,omitempty"`
}

// report tells of an error on standard error.
func report(c *console.Console, err error) {
	if err == nil {
		return
	}
	if c.JSON {
		f := failure{Error: err.Error(), ExitCode: exit.Code(err)}
		_ = errors.As(err, &f.Problem)
		line, _ := json.Marshal(f) // what was read as JSON can be written
		c.Note("%s", line)
		return
	}
	c.Note("cupline: %v", err)
	if advice := exit.Advice(err); advice != "" {
		c.Note("%s", advice)
	}
}
