package topology

import "time"

// Limits that hold for every installation.
const (
	// WorkDeliveryLimit parks a command that was delivered this often without an
	// ack. Always explicit: unset is unlimited on RabbitMQ 3.x and 20 on 4.x.
	WorkDeliveryLimit = 20
	// KeepDeliveryLimit is as good as none, for queues whose messages must never be
	// dead-lettered by counting (-1 dead-letters at once on 3.10).
	KeepDeliveryLimit = 1_000_000
	// PushTTL is how long a reply may wait in a pusher's queue, unacked included,
	// before it goes to the mailbox.
	PushTTL = 10 * time.Second
	// ParkTTL is how long a command of a paused device is left alone before it is looked at again: so soon is a
	// resume seen.
	ParkTTL = 5 * time.Second
	// MaxParked is the most commands of paused devices that wait. Each costs a delivery and two publishes every ParkTTL.
	MaxParked = 10_000
)

// Commands is the way in: the commands exchange and one work queue for each lane, and,
// borrowed, where what dies there goes.
// The exchange has no alternate, on purpose: it would count as routed, and hide a
// missing lane from mandatory publishes.
func Commands(lanes ...Lane) Topology {
	// The dead letters' exchange comes first: queues name it.
	t := Merge(Borrow(deadExchange()), Topology{Exchanges: []Exchange{{Name: CommandsExchange, Kind: Topic, Durable: true}}})
	for _, lane := range lanes {
		t.Queues = append(t.Queues, workQueue(lane))
		t.Bindings = append(t.Bindings, Binding{
			Source: CommandsExchange, Key: lane.Name + ".*.*", Destination: WorkQueue(lane.Name),
		})
	}
	return Merge(t, Borrow(Dead()), Parked())
}

// Parked is where commands wait whose device is paused. From there the broker sends each back to its lane after ParkTTL,
// under its own key, to be looked at again. A full one refuses: what is in it goes round and round.
func Parked() Topology {
	return Topology{
		Exchanges: []Exchange{
			{Name: CommandsExchange, Kind: Topic, Durable: true},
			{Name: ParkedExchange, Kind: Topic, Durable: true},
		},
		Queues: []Queue{{Name: ParkedQueue, Arguments: map[string]any{
			"x-queue-type":           "quorum",
			"x-dead-letter-exchange": CommandsExchange,
			"x-dead-letter-strategy": "at-least-once",
			"x-overflow":             "reject-publish",
			"x-max-length":           int64(MaxParked),
			"x-message-ttl":          ParkTTL.Milliseconds(),
			"x-delivery-limit":       int64(WorkDeliveryLimit),
		}}},
		Bindings: []Binding{{Source: ParkedExchange, Key: "#", Destination: ParkedQueue}},
	}
}

// Dead is where commands that ended without an answer wait for the recorder. A lane
// declares it too: at-least-once dead-lettering needs a route that exists.
func Dead() Topology {
	t := deadExchange()
	t.Queues = []Queue{keepQueue(DeadQueue)}
	t.Bindings = []Binding{{Source: DeadExchange, Key: "#", Destination: DeadQueue}}
	return t
}

// Replies is the way back up to the table of connected clients, and the mailbox
// that takes what the table cannot route. Everyone who publishes outcomes declares
// all of it on every connect: an unbound exchange in the middle would lose replies.
func Replies() Topology {
	return Topology{
		Exchanges: []Exchange{
			{Name: MailboxExchange, Kind: Topic, Durable: true},
			{Name: ClientsExchange, Kind: Direct, Alternate: MailboxExchange},
			{Name: RepliesExchange, Kind: Topic, Durable: true, Alternate: MailboxExchange},
		},
		Queues: []Queue{keepQueue(MailboxQueue)},
		Bindings: []Binding{
			{Source: MailboxExchange, Key: "#", Destination: MailboxQueue},
			{Source: RepliesExchange, Key: "#", Destination: ClientsExchange, ToExchange: true},
		},
	}
}

// Outcomes is what everyone who publishes outcomes declares: the way back is the pushers', but for the table of connected
// clients, which vanishes with the last of a cluster's nodes.
func Outcomes() Topology {
	t := Borrow(Replies())
	for i := range t.Exchanges {
		t.Exchanges[i].Borrowed = t.Exchanges[i].Name != ClientsExchange
	}
	return t
}

// Push is one pusher slot's queue; its bindings, one for each connected client,
// are made and undone by the pusher that holds the slot.
func Push(slot string) Topology {
	return Merge(Replies(), Topology{Queues: []Queue{pushQueue(slot)}})
}

// Client is the binding that says: this client is connected at this slot.
func Client(slot, tenant, client string) Binding {
	return Binding{Source: ClientsExchange, Key: ReplyKey(tenant, client), Destination: PushQueue(slot)}
}

// Lock is the exclusive queue that makes its declarer the only pusher on a slot.
func Lock(slot string) Queue {
	return Queue{Name: SlotLock(slot), Exclusive: true}
}

// Answers is one dispatcher's exclusive queue for devices' answers.
func Answers(dispatcher string) Topology {
	return Topology{
		Exchanges: []Exchange{{Name: DeviceExchange, Kind: Topic, Durable: true, Predeclared: true}},
		Queues:    []Queue{{Name: AnswersQueue(dispatcher), Exclusive: true}},
		Bindings: []Binding{{
			Source: DeviceExchange, Key: "devices.*.*.replies." + dispatcher, Destination: AnswersQueue(dispatcher),
		}},
	}
}

// Whole is everything that lasts: what `cupline topology` prints, checks and applies.
func Whole(lanes ...Lane) Topology { return Merge(Commands(lanes...), Dead(), Replies()) }

func deadExchange() Topology {
	return Topology{Exchanges: []Exchange{{Name: DeadExchange, Kind: Topic, Durable: true}}}
}

func workQueue(lane Lane) Queue {
	return Queue{Name: WorkQueue(lane.Name), Arguments: map[string]any{
		"x-queue-type":           "quorum",
		"x-dead-letter-exchange": DeadExchange,
		"x-dead-letter-strategy": "at-least-once",
		"x-overflow":             "reject-publish",
		"x-max-length":           lane.MaxLength,
		"x-message-ttl":          lane.MaxTTL.Milliseconds(),
		"x-delivery-limit":       int64(WorkDeliveryLimit),
	}}
}

func pushQueue(slot string) Queue {
	return Queue{Name: PushQueue(slot), Arguments: map[string]any{
		"x-queue-type":           "quorum",
		"x-dead-letter-exchange": MailboxExchange,
		"x-dead-letter-strategy": "at-least-once",
		"x-overflow":             "reject-publish",
		"x-message-ttl":          PushTTL.Milliseconds(),
		"x-delivery-limit":       int64(WorkDeliveryLimit),
	}}
}

func keepQueue(name string) Queue {
	return Queue{Name: name, Arguments: map[string]any{
		"x-queue-type":     "quorum",
		"x-delivery-limit": int64(KeepDeliveryLimit),
	}}
}
