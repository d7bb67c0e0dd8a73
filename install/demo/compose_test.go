package demo_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// container is a service of compose.yaml.
func container(t *testing.T, project *types.Project, name string) program {
	t.Helper()
	service, known := project.Services[name]
	if !known {
		t.Fatalf("compose.yaml has no service %s", name)
	}
	p := program{name: name, command: append(service.Entrypoint, service.Command...), env: map[string]string{}}
	for variable, value := range service.Environment {
		if value != nil {
			p.env[variable] = *value
		}
	}
	return p
}

// TestComposeRunsTheDemo follows docs/install.md: everything up, a key, a first command.
func TestComposeRunsTheDemo(t *testing.T) {
	t.Parallel()
	options, err := cli.NewProjectOptions([]string{filepath.Join(checkout, "compose.yaml")}, cli.WithProfiles([]string{"*"}))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	broker, database := container(t, project, "rabbitmq").env, container(t, project, "postgres").env
	m := newMachine(t,
		server{"rabbitmq", broker["RABBITMQ_DEFAULT_USER"], broker["RABBITMQ_DEFAULT_PASS"]},
		server{"postgres", database["POSTGRES_USER"], database["POSTGRES_PASSWORD"]},
		words(project.Configs["rabbitmq-plugins"].Content), settings(project.Configs["rabbitmq-devices"].Content), "api:9101")
	for _, name := range []string{"migrate", "logins", "topology", "demo"} {
		m.once(t, container(t, project, name))
	}
	for _, name := range []string{"api", "dispatcher", "pusher", "agent"} {
		m.start(t, container(t, project, name))
	}
	m.names = append(m.names, "api:8080", m.public["api"], "pusher:8081", m.public["pusher"])
	tool := func(args ...string) program {
		p := container(t, project, "cupline")
		p.command = append(p.command, args...)
		return p
	}
	key := m.once(t, tool("keys", "create", "--database", "--tenant", "demo", "--client", "me"))
	send := tool("send", "host", "host.load", "--wait")
	send.env["CUPLINE_KEY"] = key
	if answer := m.once(t, send); !strings.Contains(answer, `"load1"`) {
		t.Errorf("the agent answers %s", answer)
	}
	// The dispatcher may end connections (CUPLINE_DEVICES_MANAGEMENT_URL): the agent's, with a password that is good no more.
	admin := tool("keys", "create", "--database", "--tenant", "demo", "--client", "admin", "--scope", "devices:read,devices:write")
	key = m.once(t, admin)
	list := tool("devices", "credentials", "list", "host", "--output", "json")
	list.env["CUPLINE_KEY"] = key
	var credentials []struct{ Credential string }
	if said := m.once(t, list); json.Unmarshal([]byte(said), &credentials) != nil || len(credentials) != 1 {
		t.Fatalf("the agent's credentials: %s", said)
	}
	revoke := tool("devices", "credentials", "revoke", "host", credentials[0].Credential)
	revoke.env["CUPLINE_KEY"] = key
	m.once(t, revoke)
	eventually(t, "the agent is put out", func() bool { return !m.ready("agent") })
}
