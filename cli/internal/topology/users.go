package topology

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	"github.com/cupline/cupline/schema/topology"
)

// liveUser is what the broker has of one of Cupline's users.
type liveUser struct {
	there  bool
	tags   []string
	rights rights
	topics []topicRight
}

// rights and topicRight are a user's permissions in a virtual host, as the management API has them.
type rights struct {
	Configure string `json:"configure"`
	Write     string `json:"write"`
	Read      string `json:"read"`
}

type topicRight struct {
	Exchange string `json:"exchange"`
	Write    string `json:"write"`
	Read     string `json:"read"`
}

// tagList reads tags, which are a list from RabbitMQ 3.9 on, and were one string before.
type tagList []string

func (l *tagList) UnmarshalJSON(text []byte) error {
	words := strings.FieldsFunc(string(text), func(r rune) bool { return strings.ContainsRune(`[]", `, r) })
	*l = slices.Sorted(slices.Values(words))
	return nil
}

// administrator tells whether the API lets us see and make users.
func (m vhost) administrator(ctx context.Context) (bool, error) {
	var me struct{ Tags tagList }
	if err := m.Get(ctx, &me, "whoami"); err != nil {
		return false, err
	}
	return slices.Contains(me.Tags, "administrator"), nil
}

// user reads one user.
func (m vhost) user(ctx context.Context, name string) (is liveUser, err error) {
	var described struct{ Tags tagList }
	if is.there, err = m.Find(ctx, &described, "users", name); err != nil || !is.there {
		return is, err
	}
	is.tags = described.Tags
	if _, err := m.Find(ctx, &is.rights, "permissions", m.VHost, name); err != nil {
		return is, err
	}
	_, err = m.Find(ctx, &is.topics, "topic-permissions", m.VHost, name)
	return is, err
}

// compareUser finds in what a user differs; nothing for one that is not there.
func compareUser(u topology.User, name string, is liveUser) []Difference {
	if !is.there {
		return nil
	}
	var details []string
	note := func(what string, is, want any) {
		if fmt.Sprint(is) != fmt.Sprint(want) {
			details = append(details, fmt.Sprintf("%s is %v, declared %v", what, is, want))
		}
	}
	note("tags", is.tags, u.Tags)
	note("configure", quoted(is.rights.Configure), u.Configure)
	note("write", quoted(is.rights.Write), u.Write)
	note("read", quoted(is.rights.Read), u.Read)
	note("topic rights", is.topics, topicRights(u))
	if len(details) == 0 {
		return nil
	}
	return []Difference{{Changed, "user", name, strings.Join(details, "; "), applyRemedy + ", as an administrator of the broker"}}
}

func topicRights(u topology.User) []topicRight {
	var all []topicRight
	for _, t := range u.Topics {
		all = append(all, topicRight{t.Exchange, t.Write, t.Read})
	}
	return all
}

// checkUsers compares Cupline's users with what is declared. Those that are not there are no difference: a small
// installation has one user for everything.
func checkUsers(ctx context.Context, c *console.Console, m vhost, prefix string) ([]Difference, error) {
	may, err := m.administrator(ctx)
	if err != nil {
		return nil, err
	}
	if !may {
		c.Note("the user of RABBITMQ_MANAGEMENT_URL is no administrator: Cupline's own users are not looked at")
		return nil, nil
	}
	var found []Difference
	for _, u := range topology.Users() {
		name := topology.UserName(prefix, u.Role)
		is, err := m.user(ctx, name)
		if err != nil {
			return nil, err
		}
		found = append(found, compareUser(u, name, is)...)
	}
	return found, nil
}

// passwordVariable is where the password of a role's user comes from; with _FILE behind it, from that file.
func passwordVariable(role string) string { return "CUPLINE_AMQP_PASSWORD_" + strings.ToUpper(role) }

// password of a role's user; empty when none is given.
func password(c *console.Console, role string) (string, error) {
	name := passwordVariable(role)
	given, path := c.Getenv(name), c.Getenv(name+"_FILE")
	if path == "" {
		return given, nil
	}
	if given != "" {
		return "", exit.With(exit.Usage, fmt.Errorf("%s and %s_FILE are both set: which one?", name, name))
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", exit.With(exit.Usage, fmt.Errorf("%s_FILE: %w", name, err))
	}
	if given = strings.TrimRight(string(content), "\r\n"); given == "" {
		return "", exit.With(exit.Usage, fmt.Errorf("%s_FILE: the file is empty", name))
	}
	return given, nil
}

// applyUsers makes those users whose passwords are given, and sets the rights of those that are there.
func applyUsers(ctx context.Context, c *console.Console, m vhost, prefix string) error {
	passwords, problems := map[string]string{}, []error(nil)
	for _, u := range topology.Users() {
		given, err := password(c, u.Role)
		problems = append(problems, err)
		if given != "" {
			passwords[u.Role] = given
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	may, err := m.administrator(ctx)
	if err != nil {
		return err
	}
	if !may {
		if len(passwords) > 0 {
			return exit.With(exit.Usage, errors.New("passwords of Cupline's users are given, but the user of RABBITMQ_MANAGEMENT_URL is no administrator, and so cannot make them"))
		}
		return nil
	}
	for _, u := range topology.Users() {
		if err := applyUser(ctx, c, m, u, topology.UserName(prefix, u.Role), passwords[u.Role]); err != nil {
			return err
		}
	}
	return nil
}

func applyUser(ctx context.Context, c *console.Console, m vhost, u topology.User, name, password string) error {
	is, err := m.user(ctx, name)
	if err != nil || !is.there && password == "" {
		return err
	}
	differs := len(compareUser(u, name, is)) > 0
	if password != "" {
		tags := map[string]string{"password": password, "tags": strings.Join(u.Tags, ",")}
		if err := m.Put(ctx, tags, "users", name); err != nil {
			return err
		}
	}
	if !is.there || differs {
		if slices.Compare(is.tags, u.Tags) != 0 && is.there && password == "" {
			return exit.With(exit.Usage, fmt.Errorf("user %s has other tags than declared: give %s, so that it can be made anew", name, passwordVariable(u.Role)))
		}
		if err := m.Put(ctx, rights{u.Configure, u.Write, u.Read}, "permissions", m.VHost, name); err != nil {
			return err
		}
		if err := m.topics(ctx, name, u); err != nil {
			return err
		}
	}
	switch {
	case !is.there:
		c.Note("made user %s", name)
	case differs:
		c.Note("set the rights of user %s", name)
	}
	return nil
}

// topics replaces a user's topic rights.
func (m vhost) topics(ctx context.Context, name string, u topology.User) error {
	if err := m.Delete(ctx, "topic-permissions", m.VHost, name); err != nil {
		return err
	}
	for _, t := range topicRights(u) {
		if err := m.Put(ctx, t, "topic-permissions", m.VHost, name); err != nil {
			return err
		}
	}
	return nil
}
