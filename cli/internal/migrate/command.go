// Package migrate is `cupline migrate`.
package migrate

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/migrations"
)

// Command is `cupline migrate`.
func Command(c *console.Console) *cobra.Command {
	cmd := &cobra.Command{Use: "migrate", Short: "Bring the database's schema and users up to date (operators)", Args: cobra.NoArgs}
	cmd.AddCommand(up(c), status(c), logins(c))
	return cmd
}

func up(c *console.Console) *cobra.Command {
	var newer bool
	cmd := &cobra.Command{Use: "up", Short: "Apply the migrations that are missing", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		values, err := connect.Require(c, connect.DatabaseURL)
		if err != nil {
			return err
		}
		applied, err := migrations.Up(cmd.Context(), values[0])
		err = bear(c, newer, err)
		// Those before an error stand; so they are told all the same.
		printed := c.Result(map[string][]string{"applied": append([]string{}, applied...)}, func(w *strings.Builder) {
			for _, name := range applied {
				fmt.Fprintln(w, "applied", name)
			}
			if len(applied) == 0 && err == nil {
				fmt.Fprintln(w, "nothing to apply: the schema is up to date")
			}
		})
		if err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
		return printed
	}}
	allowNewer(cmd, &newer)
	return cmd
}

// bear tells that a database is newer, and takes that for no failure where it is allowed.
func bear(c *console.Console, newer bool, err error) error {
	if !newer || !errors.Is(err, migrations.ErrNewer) {
		return err
	}
	c.Note("%v\nIt is left as it is: a schema works with the programs of the release before", err)
	return nil
}

func allowNewer(cmd *cobra.Command, newer *bool) {
	cmd.Flags().BoolVar(newer, "allow-newer", false,
		"a database that a later release has migrated is no failure, as after a rollback of the programs")
}

// state is one migration as it is printed.
type state struct {
	Number  int       `json:"number"`
	Name    string    `json:"name"`
	Applied time.Time `json:"applied_at,omitzero"`
}

func status(c *console.Console) *cobra.Command {
	var newer bool
	cmd := &cobra.Command{Use: "status", Short: "List the migrations, applied and missing", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		values, err := connect.Require(c, connect.DatabaseURL)
		if err != nil {
			return err
		}
		states, err := migrations.Status(cmd.Context(), values[0])
		err = bear(c, newer, err)
		var rows [][]string
		var printed error
		for _, s := range states {
			if c.JSON {
				printed = errors.Join(printed, c.Line(state{s.Number, s.Name, s.Applied}))
				continue
			}
			applied := console.Time(s.Applied)
			if applied == "" {
				applied = "missing"
			}
			rows = append(rows, []string{strconv.Itoa(s.Number), s.Name, applied})
		}
		if !c.JSON && len(states) > 0 {
			printed = c.Result(nil, func(w *strings.Builder) { console.Table(w, "number name applied", rows) })
		}
		if err != nil {
			return fmt.Errorf("migration status: %w", err)
		}
		return printed
	}}
	allowNewer(cmd, &newer)
	return cmd
}
