package livetest

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/cli/internal/exit"
	"github.com/cupline/cupline/schema/topology"
)

// users is a broker with Cupline's own users, whose names begin with a prefix of this test's.
type users struct {
	*brokertest.Broker
	shell
	prefix string
}

func withUsers(t *testing.T) users {
	t.Helper()
	b := brokertest.New(t)
	u := users{b, onBroker(b), "t" + strings.ToLower(rand.Text()[:10])}
	for _, user := range topology.Users() {
		u.shell["CUPLINE_AMQP_PASSWORD_"+strings.ToUpper(user.Role)] = "secret-of-" + user.Role
	}
	t.Cleanup(func() {
		for _, user := range topology.Users() {
			b.DeleteUser(t, topology.UserName(u.prefix, user.Role))
		}
	})
	u.check(t, exit.OK, "topology", "apply", "--user-prefix", u.prefix)
	return u
}

// as is an address with a role's user.
func (u users) as(t *testing.T, address, role string) string {
	t.Helper()
	at, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	at.User = url.UserPassword(topology.UserName(u.prefix, role), "secret-of-"+role)
	return at.String()
}

func (u users) link(t *testing.T, role string) *broker.Link {
	t.Helper()
	link := broker.NewLink(broker.Config{URL: u.as(t, u.URL(), role), Name: role})
	brokertest.Start(t, link)
	return link
}

func (u users) do(t *testing.T, link *broker.Link, f func(ctx context.Context, s *broker.Session) error) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := link.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	return link.Do(ctx, f)
}

func commands() topology.Topology { return topology.Commands(topology.DefaultLane()) }

// TestEachRoleMayDeclareWhatItsServiceDeclares also with everything gone that is its own.
func TestEachRoleMayDeclareWhatItsServiceDeclares(t *testing.T) {
	t.Parallel()
	u := withUsers(t)
	for role, declares := range map[string]topology.Topology{
		topology.RoleAPI: commands(),
		topology.RoleDispatcher: topology.Merge(
			topology.Borrow(commands()), topology.Borrow(topology.Dead()), topology.Outcomes(), topology.Answers("d-1")),
		topology.RoleRecorder: topology.Merge(topology.Dead(), topology.Outcomes()),
		topology.RoleWorker:   topology.Merge(topology.Borrow(commands()), topology.Dead(), topology.Outcomes(), topology.Answers("d-2")),
		topology.RolePusher:   topology.Merge(topology.Push("p-0"), topology.Topology{Queues: []topology.Queue{topology.Lock("p-0")}}),
		topology.RoleTopology: topology.Whole(topology.DefaultLane()),
	} {
		t.Run(role, func(t *testing.T) {
			link := u.link(t, role)
			err := u.do(t, link, func(ctx context.Context, s *broker.Session) error {
				for _, q := range declares.Queues {
					if !q.Borrowed && !q.Exclusive {
						if err := s.DeleteQueue(ctx, q.Name, false, false); err != nil {
							return err
						}
					}
				}
				for _, e := range declares.Exchanges {
					if !e.Borrowed && !e.Predeclared {
						if err := s.DeleteExchange(ctx, e.Name); err != nil {
							return err
						}
					}
				}
				drifts, err := s.Declare(ctx, declares)
				if len(drifts) != 0 {
					t.Errorf("drifts %v", drifts)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
			// What it took away with its own exchanges, the next one's test must find.
			u.Declare(t, topology.Whole(topology.DefaultLane()))
		})
	}
}

// right is a deed on one exchange or queue.
type right struct {
	name string
	// deed does it; it fails with a refusal where the user has no right to it.
	deed func(ctx context.Context, s *broker.Session) error
	// may lists the roles that have it.
	may []string
}

func configure(queue string, may ...string) right {
	return right{"delete queue " + queue, func(ctx context.Context, s *broker.Session) error {
		return s.DeleteQueue(ctx, queue, false, false)
	}, may}
}

func configureExchange(exchange string, may ...string) right {
	return right{"delete exchange " + exchange, func(ctx context.Context, s *broker.Session) error {
		return s.DeleteExchange(ctx, exchange)
	}, may}
}

// read takes from a queue; a drain of an empty one ends at once.
func read(queue string, may ...string) right {
	return right{"consume " + queue, func(ctx context.Context, s *broker.Session) error {
		return s.Drain(ctx, queue, func(context.Context, *broker.Delivery) error { return nil })
	}, may}
}

// TestEachRoleMayDoNoMoreThanItNeeds holds every role to a table of deeds.
func TestEachRoleMayDoNoMoreThanItNeeds(t *testing.T) {
	t.Parallel()
	const (
		api, dispatcher, recorder, worker = topology.RoleAPI, topology.RoleDispatcher, topology.RoleRecorder, topology.RoleWorker
		pusher, operator, monitor         = topology.RolePusher, topology.RoleTopology, topology.RoleMonitor
	)
	u := withUsers(t)
	work, push := topology.WorkQueue("default"), topology.PushQueue("p-0")
	everything := topology.Merge(topology.Whole(topology.DefaultLane()), topology.Push("p-0"), topology.Topology{
		Queues: []topology.Queue{{Name: "mqtt-subscription-acme/lamp-1qos0", Arguments: map[string]any{"x-queue-type": "quorum"}}},
	})
	deeds := []right{
		read(work, api, dispatcher, worker, operator),
		read(topology.DeadQueue, recorder, worker, operator),
		read(topology.MailboxQueue, pusher, operator),
		read(push, pusher),
		read("mqtt-subscription-acme/lamp-1qos0"),
		configure(work, api, operator),
		configure(topology.DeadQueue, recorder, worker, operator),
		configure(topology.MailboxQueue, pusher, operator),
		configure(push, pusher),
		configure("mqtt-subscription-acme/lamp-1qos0"),
		configureExchange(topology.CommandsExchange, api, operator),
		configureExchange(topology.DeadExchange, recorder, worker, operator),
		configureExchange(topology.RepliesExchange, pusher, operator),
		configureExchange(topology.MailboxExchange, pusher, operator),
		configureExchange(topology.ClientsExchange, dispatcher, recorder, worker, pusher, operator),
		configureExchange("amq.topic"),
		bindAnswers("devices.*.*.replies.d-1", dispatcher, worker),
		bindAnswers("devices.*.*.commands.*"),
		bindAnswers("devices.acme.lamp-1.commands.d-1"),
		bindAnswers("#"),
	}
	for _, role := range []string{api, dispatcher, recorder, worker, pusher, operator, monitor} {
		link := u.link(t, role)
		for _, d := range deeds {
			u.Declare(t, everything)
			err := u.do(t, link, d.deed)
			switch refused := errors.Is(err, broker.ErrForbidden); {
			case slices.Contains(d.may, role) && err != nil:
				t.Errorf("%s may not %s: %v", role, d.name, err)
			case !slices.Contains(d.may, role) && !refused:
				t.Errorf("%s may %s (%v)", role, d.name, err)
			}
		}
	}
}

// bindAnswers hears, with an exclusive queue of a dispatcher's, what devices are sent or say.
func bindAnswers(key string, may ...string) right {
	answers := topology.Answers("d-1")
	answers.Bindings[0].Key = key
	return right{"bind " + key, func(ctx context.Context, s *broker.Session) error {
		_, err := s.Declare(ctx, answers)
		return errors.Join(err, s.DeleteQueue(ctx, topology.AnswersQueue("d-1"), false, false))
	}, may}
}

// TestEachRoleMayPublishOnlyWhatItHasToSay looks at exchanges, and at the keys to devices.
func TestEachRoleMayPublishOnlyWhatItHasToSay(t *testing.T) {
	t.Parallel()
	u := withUsers(t)
	u.Declare(t, topology.Push("p-0"))
	may := map[string][]string{
		topology.CommandsExchange: {topology.RoleAPI, topology.RoleTopology},
		topology.DeadExchange:     {topology.RoleAPI, topology.RoleDispatcher, topology.RoleRecorder, topology.RoleWorker, topology.RoleTopology},
		topology.RepliesExchange:  {topology.RoleDispatcher, topology.RoleRecorder, topology.RoleWorker, topology.RolePusher, topology.RoleTopology},
		topology.MailboxExchange:  {topology.RoleDispatcher, topology.RoleRecorder, topology.RoleWorker, topology.RolePusher, topology.RoleTopology},
		// A command to a device; an answer in a device's name; the broker's own way past all exchanges.
		"amq.topic devices.acme.lamp-1.commands.d-1": {topology.RoleDispatcher, topology.RoleWorker},
		"amq.topic devices.acme.lamp-1.replies.d-1":  {},
		"amq.topic devices.acme.lamp-1.events.on":    {},
		" " + topology.WorkQueue("default"):          {},
	}
	for _, user := range topology.Users() {
		for target, roles := range may {
			exchange, key, _ := strings.Cut(target, " ")
			err := brokertest.PublishAs(t, u.as(t, u.URL(), user.Role), exchange, key)
			if allowed := err == nil; allowed != slices.Contains(roles, user.Role) || !allowed && !errors.Is(err, broker.ErrForbidden) {
				t.Errorf("%s publishes to %q: %v", user.Role, target, err)
			}
		}
	}
}

func TestUsersAreCheckedAndMended(t *testing.T) {
	t.Parallel()
	u := withUsers(t)
	flag := []string{"--user-prefix", u.prefix}
	name := topology.UserName(u.prefix, topology.RoleAPI)
	if r := u.check(t, exit.OK, append(flag, "topology", "check")...); len(r.Differences) != 0 {
		t.Fatalf("after apply: %+v", r)
	}
	u.Grant(t, name, ".*", ".*", ".*")
	r := u.check(t, exit.Different, append(flag, "topology", "check")...)
	if len(r.Differences) != 1 || r.Differences[0].What != "user" || r.Differences[0].Name != name ||
		!strings.Contains(r.Differences[0].Detail, `configure is .*, declared ^(cupline\.commands|`) {
		t.Errorf("found %+v", r)
	}
	delete(u.shell, "CUPLINE_AMQP_PASSWORD_API") // its password stays
	u.check(t, exit.OK, append(flag, "topology", "apply")...)
	u.link(t, topology.RoleAPI)

	// One who is no administrator checks the rest, and cannot make users.
	own := shell{"AMQP_URL": u.as(t, u.URL(), topology.RoleTopology), "RABBITMQ_MANAGEMENT_URL": u.as(t, u.ManagementURL(), topology.RoleTopology)}
	if _, errs, code := own.run(t, "topology", "apply"); code != exit.OK || strings.Contains(errs, "made user") || !strings.Contains(errs, "no administrator") {
		t.Errorf("apply ends with %d: %s", code, errs)
	}
	own["CUPLINE_AMQP_PASSWORD_API"] = "another"
	if _, errs, code := own.run(t, "topology", "apply"); code != exit.Usage || !strings.Contains(errs, "no administrator") || strings.Contains(errs, "another") {
		t.Errorf("apply with a password ends with %d: %s", code, errs)
	}
	// The monitor reads the management API; it reaches no queue through it.
	seen := shell{"AMQP_URL": u.URL(), "RABBITMQ_MANAGEMENT_URL": u.as(t, u.ManagementURL(), topology.RoleMonitor)}
	if _, errs, code := seen.run(t, "topology", "check"); code != exit.OK {
		t.Errorf("check as the monitor ends with %d: %s", code, errs)
	}
}
