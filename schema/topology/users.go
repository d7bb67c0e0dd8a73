package topology

import "strings"

// Roles of Cupline's own users on the broker.
const (
	// RoleAPI accepts commands, and keeps the lanes' queues.
	RoleAPI = "api"
	// RoleDispatcher executes commands (CUPLINE_ROLES=work).
	RoleDispatcher = "dispatcher"
	// RoleRecorder settles dead letters (CUPLINE_ROLES=record).
	RoleRecorder = "recorder"
	// RoleWorker is both in one process, as small installations have it (CUPLINE_ROLES=work,record).
	RoleWorker = "worker"
	// RolePusher leads outcomes to clients and mailboxes.
	RolePusher = "pusher"
	// RoleTopology declares everything that lasts: `cupline topology`.
	RoleTopology = "topology"
	// RoleMonitor reads the management API, and nothing of any queue or exchange.
	RoleMonitor = "monitor"
)

// User is one of Cupline's own users on the broker, with its rights in Cupline's virtual host. The patterns are regular
// expressions on the names of exchanges and queues alike, as RabbitMQ has them: configure is to declare and delete,
// write to publish and to be bound to, read to consume and to bind from.
type User struct {
	Role                   string
	Configure, Write, Read string
	// Topics narrow routing keys on topic exchanges; on one that is not named every key is allowed.
	Topics []TopicRight
	// Tags let a user into the management API: "management" or "monitoring".
	Tags []string
}

// TopicRight narrows a user's routing keys on one topic exchange: what it may publish with, and bind with.
type TopicRight struct {
	Exchange    string
	Write, Read string
}

// UserName of a role; prefix is "cupline" unless several installations share a broker.
func UserName(prefix, role string) string { return prefix + "-" + role }

// UserPrefix is how Cupline's users begin unless told otherwise.
const UserPrefix = "cupline"

// Patterns of names that hold an id.
const (
	anyID      = "[A-Za-z0-9_@-]+"
	anyWork    = `cupline\.work\.` + anyID
	anyAnswers = `cupline\.answers\.` + anyID
	anyPush    = `cupline\.push\.` + anyID
	anySlot    = `cupline\.slot\.` + anyID
)

// Nothing is the pattern that matches no name.
const Nothing = "^$"

// Users lists Cupline's own users. An exchange and the queue behind it may have one name (cupline.dead, cupline.mailbox),
// which the broker's rights cannot tell apart; so only the service that consumes such a queue may read that name, and the
// others borrow it (see [Borrow]).
func Users() []User {
	commands, dead, replies := literal(CommandsExchange), literal(DeadExchange), literal(RepliesExchange)
	clients, mailbox, devices := literal(ClientsExchange), literal(MailboxExchange), literal(DeviceExchange)
	probe, parked := literal(ProbeExchange), literal(ParkedExchange)
	// A dispatcher publishes commands to devices and hears answers meant for dispatchers, not the other way round.
	toDevices := []TopicRight{{
		Exchange: DeviceExchange,
		Write:    `^devices\.` + anyID + `\.` + anyID + `\.commands\.` + anyID + `$`,
		Read:     `^devices\.\*\.\*\.replies\.` + anyID + `$`,
	}}
	return []User{
		{
			Role: RoleAPI, Configure: oneOf(commands, parked, anyWork),
			// The queues of lanes name the dead letters' exchange, which takes the right to publish there.
			Write: oneOf(commands, dead, parked, anyWork, probe), Read: oneOf(commands, parked, anyWork),
		},
		{
			Role: RoleDispatcher, Configure: oneOf(clients, anyAnswers),
			// The table of clients names the mailbox's exchange as its alternate.
			Write: oneOf(dead, parked, replies, clients, mailbox, devices, anyAnswers, probe),
			Read:  oneOf(replies, clients, devices, anyWork, anyAnswers), Topics: toDevices,
		},
		{
			Role: RoleRecorder, Configure: oneOf(clients, dead),
			Write: oneOf(dead, replies, clients, mailbox, probe), Read: oneOf(dead, replies, clients),
		},
		{
			Role: RoleWorker, Configure: oneOf(clients, dead, anyAnswers),
			Write: oneOf(dead, parked, replies, clients, mailbox, devices, anyAnswers, probe),
			Read:  oneOf(dead, replies, clients, devices, anyWork, anyAnswers), Topics: toDevices,
		},
		{
			Role: RolePusher, Configure: oneOf(replies, clients, mailbox, anyPush, anySlot),
			Write: oneOf(replies, clients, mailbox, anyPush, probe), Read: oneOf(replies, clients, mailbox, anyPush),
		},
		{
			Role: RoleTopology, Configure: oneOf(commands, dead, parked, replies, clients, mailbox, anyWork),
			Write: oneOf(commands, dead, parked, replies, clients, mailbox, anyWork),
			Read:  oneOf(commands, dead, parked, replies, clients, mailbox, anyWork), Tags: []string{"management"},
		},
		{Role: RoleMonitor, Configure: Nothing, Write: Nothing, Read: Nothing, Tags: []string{"monitoring"}},
	}
}

// literal is the pattern of one name.
func literal(name string) string { return strings.ReplaceAll(name, ".", `\.`) }

// oneOf is the pattern of these names and no other.
func oneOf(patterns ...string) string { return "^(" + strings.Join(patterns, "|") + ")$" }
