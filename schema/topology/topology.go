package topology

// Kind of an exchange, in AMQP's words.
type Kind string

// The exchange types in use.
const (
	Topic  Kind = "topic"
	Direct Kind = "direct"
)

// Exchange describes one exchange.
type Exchange struct {
	Name string
	Kind Kind
	// Durable exchanges survive a restart of all nodes. A transient one vanishes
	// with them, together with every binding from it, and is cheap to bind to.
	Durable bool
	// Alternate names the exchange that takes what this one cannot route; empty for none.
	Alternate string
	// Predeclared exchanges belong to the broker (amq.topic); they are never declared.
	Predeclared bool
	// Borrowed: another service declares it. See [Borrow].
	Borrowed bool
}

// Queue describes one queue. Arguments hold only string, int64 and bool values.
type Queue struct {
	Name string
	// Exclusive queues live as long as the connection that declared them; all
	// others here are durable quorum queues.
	Exclusive bool
	Arguments map[string]any
	// Borrowed: another service declares it. See [Borrow].
	Borrowed bool
}

// Binding leads from an exchange to a queue, or to another exchange.
type Binding struct {
	Source string
	Key    string
	// Destination is the name of a queue, or of an exchange when ToExchange is set.
	Destination string
	ToExchange  bool
}

// Topology is a set of things to declare: exchanges first, then queues, then bindings.
type Topology struct {
	Exchanges []Exchange
	Queues    []Queue
	Bindings  []Binding
}

// Borrow marks everything as another service's: whoever declares it looks first, and declares only what is not there,
// with the bindings that lead to it. So a service may use what it has no right to declare, and on a broker that nobody
// has prepared one with all rights still makes what it needs.
func Borrow(t Topology) Topology {
	borrowed := Topology{Bindings: t.Bindings}
	for _, e := range t.Exchanges {
		e.Borrowed = true
		borrowed.Exchanges = append(borrowed.Exchanges, e)
	}
	for _, q := range t.Queues {
		q.Borrowed = true
		borrowed.Queues = append(borrowed.Queues, q)
	}
	return borrowed
}

// Merge returns the union of the given topologies; what is named twice is kept once, and borrowed only if it is so in all.
func Merge(parts ...Topology) Topology {
	var all Topology
	exchanges, queues, bindings := map[string]int{}, map[string]int{}, map[Binding]bool{}
	for _, part := range parts {
		for _, e := range part.Exchanges {
			if at, known := exchanges[e.Name]; known {
				all.Exchanges[at].Borrowed = all.Exchanges[at].Borrowed && e.Borrowed
				continue
			}
			exchanges[e.Name] = len(all.Exchanges)
			all.Exchanges = append(all.Exchanges, e)
		}
		for _, q := range part.Queues {
			if at, known := queues[q.Name]; known {
				all.Queues[at].Borrowed = all.Queues[at].Borrowed && q.Borrowed
				continue
			}
			queues[q.Name] = len(all.Queues)
			all.Queues = append(all.Queues, q)
		}
		for _, b := range part.Bindings {
			if !bindings[b] {
				bindings[b] = true
				all.Bindings = append(all.Bindings, b)
			}
		}
	}
	return all
}
