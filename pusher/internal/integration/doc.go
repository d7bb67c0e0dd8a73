// Package integration tests the whole pusher with a real broker, a real database and real
// WebSocket clients.
package integration
