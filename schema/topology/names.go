package topology

import (
	"fmt"
	"strings"
)

// Exchanges.
const (
	CommandsExchange = "cupline.commands"
	DeadExchange     = "cupline.dead"
	RepliesExchange  = "cupline.replies"
	ClientsExchange  = "cupline.clients"
	MailboxExchange  = "cupline.mailbox"
	// ParkedExchange takes commands whose device is paused.
	ParkedExchange = "cupline.parked"
	// DeviceExchange is the one that RabbitMQ's MQTT plugin publishes to and subscribes on.
	DeviceExchange = "amq.topic"
	// ProbeExchange takes the messages with which publishers ask whether the broker takes any. It is there in every virtual
	// host, and nothing is bound to it. Not the default exchange: who may publish there reaches every queue.
	ProbeExchange = "amq.direct"
)

// Queues with one fixed name.
const (
	DeadQueue    = "cupline.dead"
	MailboxQueue = "cupline.mailbox"
	ParkedQueue  = "cupline.parked"
)

// SystemTenant owns what names no tenant: garbage, and messages of the platform itself.
const SystemTenant = "system"

// WorkQueue names the work queue of a lane.
func WorkQueue(lane string) string { return "cupline.work." + lane }

// PushQueue names the queue of replies for the pusher that holds slot.
func PushQueue(slot string) string { return "cupline.push." + slot }

// SlotLock names the exclusive queue that is the lock on a pusher's slot.
func SlotLock(slot string) string { return "cupline.slot." + slot }

// AnswersQueue names the exclusive queue of devices' answers to one dispatcher process.
func AnswersQueue(dispatcher string) string { return "cupline.answers." + dispatcher }

// CommandKey is the routing key of a command on CommandsExchange, kept when it is dead-lettered.
func CommandKey(lane, tenant, device string) string {
	return lane + "." + tenant + "." + device
}

// ParseCommandKey takes a CommandKey apart. ok is false unless all three parts are valid ids.
func ParseCommandKey(key string) (lane, tenant, device string, ok bool) {
	lane, rest, found := strings.Cut(key, ".")
	if !found {
		return "", "", "", false
	}
	tenant, device, found = strings.Cut(rest, ".")
	if !found || !ValidID(lane) || !ValidID(tenant) || !ValidID(device) {
		return "", "", "", false
	}
	return lane, tenant, device, true
}

// ReplyKey is the routing key of everything that is meant for one client.
func ReplyKey(tenant, client string) string { return tenant + "." + client }

// ParseReplyKey takes a ReplyKey apart. ok is false unless both parts are valid ids.
func ParseReplyKey(key string) (tenant, client string, ok bool) {
	tenant, client, found := strings.Cut(key, ".")
	if !found || !ValidID(tenant) || !ValidID(client) {
		return "", "", false
	}
	return tenant, client, true
}

// MaxIDLength is the longest id of a tenant, client, device, lane, slot or dispatcher, in bytes.
const MaxIDLength = 64

// ValidID reports whether s may name a tenant, client, device, device type, lane,
// slot or dispatcher: 1 to 64 of A-Z a-z 0-9 _ - @. These ids travel in routing
// keys, MQTT topics and MQTT user names, where dot, slash, colon and wildcards mean something.
func ValidID(s string) bool {
	if len(s) == 0 || len(s) > MaxIDLength {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-', c == '@':
		default:
			return false
		}
	}
	return true
}

// CheckID returns nil when ValidID holds, else an error that names the field and the rule.
func CheckID(field, s string) error {
	if ValidID(s) {
		return nil
	}
	return fmt.Errorf("%s %q: must be 1 to %d of A-Z a-z 0-9 _ - @", field, shorten(s), MaxIDLength)
}

// Reserved may name neither a tenant nor a lane: it leads the names of the platform's own queues and exchanges.
const Reserved = "cupline"

// CheckName is CheckID for what somebody names a tenant or a lane: Reserved is refused, too.
func CheckName(field, s string) error {
	if s == Reserved {
		return fmt.Errorf("%s %q: is the platform's own name", field, s)
	}
	return CheckID(field, s)
}

func shorten(s string) string {
	if len(s) <= 2*MaxIDLength {
		return s
	}
	return s[:2*MaxIDLength] + "..."
}
