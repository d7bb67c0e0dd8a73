// Package broker is the one way to the AMQP broker: a supervised connection (Link), a
// confirmed publisher, a consumer with gathered acks, and the calls that declare and bind.
// It is the only importer of the AMQP library, and none of the library's types leave it.
//
// # Model
//
// A Link keeps one connection. Each connection is a Session with a generation number; on
// every connect the link runs the steps registered with OnUp, in order, and only then
// counts as up. Whatever belongs to a session (its channels, its deliveries, its waiting
// publishes) ends with it; nothing is carried over to the next one. The library's own
// recovery is not used: it can ack another delivery after a reconnect.
//
// Publish and consume on separate links. A broker with a memory or disk alarm stops reading
// from every connection that publishes, and acks on such a connection stand still with it.
//
// # When something breaks
//
//   - The connection is lost, a step fails, or the heartbeat stays away: everything of that
//     session ends, and the link dials again after 100 ms to 5 s, doubling, with jitter.
//   - A channel is closed by the broker, or a consumer is cancelled by it: that channel alone
//     is opened again, up to 3 times, after 100 ms and more. If that fails, or the broker
//     says that something does not exist (404), the whole link is dropped, because only
//     the OnUp steps can declare what is missing.
//   - A write that the broker does not take for 30 s: the connection is dropped.
//
// # Goroutines and locks
//
// Each session's goroutines are waited for before the next connection is dialled, and the
// link's before Stop returns. The library's own (a reader, a heartbeat, one buffer for each
// consumer) end by themselves when the socket is closed. No lock is held while calling into
// the library or into callers' code, except where a lock exists to put writes in order, and
// says so. Order of locks: Consumer.turn, settlements.writing, then any mu; never two mu.
package broker
