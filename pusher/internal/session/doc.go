// Package session is one connection of one client: hello, the window of outcomes that were
// sent and not acked, lag, pings, and the reason for which it ends (DESIGN section 6). It
// knows no socket, no broker and no database; it declares what it needs of them.
//
// Locks are taken in the order hub's place, Session, Item. What a Session calls with its
// own lock held (Transport, Live, Wheel, Observer) never calls back into it.
package session
