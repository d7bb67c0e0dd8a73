//go:build !unix

package socket

// await does not wait: the read that follows does, at the cost of a larger stack.
func (l *line) await() {}
