package services

import (
	"strings"
	"testing"

	"github.com/cupline/cupline/schema/topology"
)

func TestEachProgramHasAUserOfItsOwn(t *testing.T) {
	t.Parallel()
	a := NewAccounts()
	for _, c := range []struct{ program, roles, want string }{
		{API, "", topology.RoleAPI},
		{Pusher, "", topology.RolePusher},
		{Dispatcher, "", topology.RoleWorker},
		{Dispatcher, "work,record", topology.RoleWorker},
		{Dispatcher, "work", topology.RoleDispatcher},
		{Dispatcher, "record", topology.RoleRecorder},
	} {
		env := map[string]string{"AMQP_URL": "amqp://root:top@h:1/, amqp://root:top@h:2/", "CUPLINE_ROLES": c.roles, "RABBITMQ_MANAGEMENT_URL": "http://root:top@h:3"}
		if err := a.enter(c.program, env); err != nil {
			t.Fatal(err)
		}
		password := a.Environment()["CUPLINE_AMQP_PASSWORD_"+strings.ToUpper(c.want)]
		want := "amqp://cupline-" + c.want + ":" + password + "@h:1/,amqp://cupline-" + c.want + ":" + password + "@h:2/"
		if env["AMQP_URL"] != want || !strings.HasPrefix(env["RABBITMQ_MANAGEMENT_URL"], "http://cupline-monitor:") || len(password) < 20 {
			t.Errorf("%s with roles %q gets %v", c.program, c.roles, env)
		}
	}
	env := map[string]string{"AMQP_URL": "amqp://%zz:top@h/"}
	if err := a.enter(API, env); err == nil || strings.Contains(err.Error(), "top") {
		t.Errorf("an address that cannot be read: %v", err)
	}
}
