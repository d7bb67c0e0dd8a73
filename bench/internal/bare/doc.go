// Package bare is the yardstick: what the AMQP library and the broker alone can do with messages that take the
// platform's two hops. A source publishes with confirm to a quorum queue; a relay takes from it, publishes with confirm
// to a topic exchange that holds a binding for each of many clients, and acks only then; a sink takes from the quorum
// queue behind that and acks. Nothing is parsed, decided or stored.
package bare
