// Package topology is the one source of truth for every name and argument that
// Cupline uses on its AMQP broker: exchanges, queues, bindings and their limits,
// as plain values. It imports no AMQP library; chassis/broker declares what is
// described here, and `cupline topology` prints, compares and applies it.
//
// Every argument means the same on RabbitMQ 3.10, 3.13 and 4.x.
package topology
