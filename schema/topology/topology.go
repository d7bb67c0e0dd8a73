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
}

// Queue describes one queue. Arguments hold only string, int64 and bool values.
type Queue struct {
	Name string
	// Exclusive queues live as long as the connection that declared them; all
	// others here are durable quorum queues.
	Exclusive bool
	Arguments map[string]any
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

// Merge returns the union of the given topologies; what is named twice is kept once.
func Merge(parts ...Topology) Topology {
	var all Topology
	exchanges, queues, bindings := map[string]bool{}, map[string]bool{}, map[Binding]bool{}
	for _, part := range parts {
		for _, e := range part.Exchanges {
			if !exchanges[e.Name] {
				exchanges[e.Name] = true
				all.Exchanges = append(all.Exchanges, e)
			}
		}
		for _, q := range part.Queues {
			if !queues[q.Name] {
				queues[q.Name] = true
				all.Queues = append(all.Queues, q)
			}
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
