package services

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cupline/cupline/schema/topology"
)

// Accounts are the services' own users on the broker, each with rights of its own and a password made up here.
type Accounts struct {
	passwords map[string]string // by role
}

// NewAccounts makes up the passwords; `cupline topology apply`, run with Environment, makes the users.
func NewAccounts() *Accounts {
	a := &Accounts{passwords: map[string]string{}}
	for _, user := range topology.Users() {
		a.passwords[user.Role] = rand.Text()
	}
	return a
}

// Environment has the passwords as `cupline topology apply` reads them. They are secrets.
func (a *Accounts) Environment() map[string]string {
	env := map[string]string{}
	for role, password := range a.passwords {
		env["CUPLINE_AMQP_PASSWORD_"+strings.ToUpper(role)] = password
	}
	return env
}

// URL is a broker's address, or several with commas between, with a role's user and password in place of those it has.
func (a *Accounts) URL(address, role string) (string, error) {
	var all []string
	for part := range strings.SplitSeq(address, ",") {
		u, err := url.Parse(strings.TrimSpace(part))
		if err != nil {
			return "", errors.New("the broker's address cannot be read") // the parser's words may show a password
		}
		u.User = url.UserPassword(topology.UserName(topology.UserPrefix, role), a.passwords[role])
		all = append(all, u.String())
	}
	return strings.Join(all, ","), nil
}

// enter puts a program's own user into the addresses of its environment.
func (a *Accounts) enter(program string, env map[string]string) (err error) {
	for name, role := range map[string]string{"AMQP_URL": roleOf(program, env["CUPLINE_ROLES"]), "RABBITMQ_MANAGEMENT_URL": topology.RoleMonitor} {
		if env[name] == "" || role == "" {
			continue
		}
		if env[name], err = a.URL(env[name], role); err != nil {
			return err
		}
	}
	return nil
}

// roleOf is the role of a program on the broker; empty for one that has none.
func roleOf(program, roles string) string {
	switch program {
	case API:
		return topology.RoleAPI
	case Pusher:
		return topology.RolePusher
	case CLI:
		return topology.RoleTopology
	case Dispatcher:
		named := strings.Split(roles, ",")
		works, records := slices.Contains(named, "work"), slices.Contains(named, "record")
		switch {
		case works == records: // unless told it does both
			return topology.RoleWorker
		case works:
			return topology.RoleDispatcher
		}
		return topology.RoleRecorder
	}
	return ""
}

// prepareLimit bounds `cupline topology apply`, which takes about a second.
const prepareLimit = time.Minute

// Prepare makes the exchanges, queues and users on a broker that is there, by `cupline topology apply`, and has the
// services log in as their own users from then on. The environment needs AMQP_URL, RABBITMQ_MANAGEMENT_URL, both with
// an administrator of the broker, and DATABASE_URL. The error carries what the command said.
func (s *Set) Prepare(ctx context.Context, env map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, prepareLimit)
	defer cancel()
	accounts := NewAccounts()
	all := accounts.Environment()
	maps.Copy(all, env)
	apply := exec.CommandContext(ctx, filepath.Join(s.Programs, CLI), "topology", "apply")
	apply.Env = assignments(all)
	if said, err := apply.CombinedOutput(); err != nil {
		return fmt.Errorf("prepare the broker: cupline topology apply: %w\n%s", err, bytes.TrimSpace(said))
	}
	s.Accounts = accounts
	return nil
}
