package migrate

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	"github.com/cupline/cupline/migrations"
)

// variables name the URLs that services will log in with, and the role that each is for.
var variables = []struct {
	name string
	role migrations.Role
}{
	{"CUPLINE_DATABASE_URL_API", migrations.API},
	{"CUPLINE_DATABASE_URL_DISPATCHER", migrations.Dispatcher},
	{"CUPLINE_DATABASE_URL_RECORDER", migrations.Recorder},
	{"CUPLINE_DATABASE_URL_PUSHER", migrations.Pusher},
	{"CUPLINE_DATABASE_URL_JANITOR", migrations.Janitor},
}

func logins(c *console.Console) *cobra.Command {
	return &cobra.Command{
		Use: "logins", Short: "Make the users that services log in to the database with", Args: cobra.NoArgs,
		Long: `Make the users that services log in to the database with, each with the rights of its service and no
others. The services' URLs say their names and passwords:

  CUPLINE_DATABASE_URL_API         what api will have as its DATABASE_URL
  CUPLINE_DATABASE_URL_DISPATCHER  dispatchers
  CUPLINE_DATABASE_URL_RECORDER    dispatchers with the role record; the same URL as above for those with both roles
  CUPLINE_DATABASE_URL_PUSHER      pusher
  CUPLINE_DATABASE_URL_JANITOR     what ends retention

Those that are not set are left alone. Users that are there already get these passwords. DATABASE_URL is that of the
user that migrates; it must be allowed to create roles. Run "migrate up" first.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			values, err := connect.Require(c, connect.DatabaseURL)
			if err != nil {
				return err
			}
			users, err := loginsOf(c)
			if err != nil {
				return exit.With(exit.Usage, err)
			}
			if err := migrations.Admit(cmd.Context(), values[0], users...); err != nil {
				return err
			}
			for _, user := range users {
				c.Note("%s logs in with the rights of %v", user.Name, user.Roles)
			}
			return nil
		},
	}
}

// loginsOf joins what the variables say of one user.
func loginsOf(c *console.Console) ([]migrations.Login, error) {
	var users []migrations.Login
	var problems []error
	for _, v := range variables {
		value := c.Getenv(v.name)
		if value == "" {
			continue
		}
		user, err := migrations.LoginOf(value, v.role)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", v.name, err))
			continue
		}
		at := slices.IndexFunc(users, func(other migrations.Login) bool { return other.Name == user.Name })
		switch {
		case at < 0:
			users = append(users, user)
		case users[at].Password != user.Password:
			problems = append(problems, fmt.Errorf("%s has another password for %s than a variable before it", v.name, user.Name))
		default:
			users[at].Roles = append(users[at].Roles, v.role)
		}
	}
	if len(users) == 0 && len(problems) == 0 {
		var names []string
		for _, v := range variables {
			names = append(names, v.name)
		}
		problems = append(problems, fmt.Errorf("none of %s is set", strings.Join(names, ", ")))
	}
	return users, errors.Join(problems...)
}
