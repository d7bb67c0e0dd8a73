// Package heap says how much garbage a program lets lie before it collects.
package heap

import (
	"os"
	"runtime"
	"runtime/debug"
)

// Garbage is how much may lie.
type Garbage struct {
	// Percent of what is in use, as GOGC says; 100 is Go's own default.
	Percent int
	// Least is how many bytes may lie however little is in use: a program with a few megabytes in use
	// would collect many times a second under load, each time over all its goroutines' stacks.
	Least int
}

// Allow lets so much lie until release is called. What the variables GOGC and GOMEMLIMIT say goes before: with
// GOGC set nothing is changed, and the limit holds as it is meant, for what is in use and what lies.
func (g Garbage) Allow() (release func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	debug.SetGCPercent(g.Percent)
	ballast := g.ballast()
	if os.Getenv("GOMEMLIMIT") != "" {
		debug.SetMemoryLimit(debug.SetMemoryLimit(-1) + int64(len(ballast)))
	}
	return func() { runtime.KeepAlive(ballast) }
}

// ballast is memory that is never written to: it takes an address and no page, and counts as in use. So the collector waits for
// its percentage of it, too; Go has no other way to say how large a heap must be before it is looked at.
func (g Garbage) ballast() []byte { return make([]byte, g.Least*100/g.Percent) }
