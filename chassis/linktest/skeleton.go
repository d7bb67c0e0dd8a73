// Package linktest is a TCP proxy whose links can be cut, stalled and healed by a test.
package linktest

import "testing"

// Proxy forwards TCP connections to a target.
type Proxy struct{}

// New starts a proxy to target (host:port) that ends with the test.
func New(t testing.TB, target string) *Proxy { panic("soon") }

// Addr to connect to, host:port.
func (p *Proxy) Addr() string { panic("soon") }

// Cut closes every live connection at once; new ones are accepted.
func (p *Proxy) Cut() { panic("soon") }

// Refuse cuts, and closes every new connection at once, until Heal.
func (p *Proxy) Refuse() { panic("soon") }

// Stall keeps connections open and forwards nothing in either direction, until Heal.
func (p *Proxy) Stall() { panic("soon") }

// Heal ends Stall and Refuse; what was held back while stalled is forwarded.
func (p *Proxy) Heal() { panic("soon") }

// LoseAnswer waits until a client sends bytes that contain request, forwards them, waits for
// the server's answer, drops it and cuts that connection. The channel is closed then.
func (p *Proxy) LoseAnswer(request []byte) <-chan struct{} { panic("soon") }
