package link

// Holes is on how many ways an answer was swallowed.
func (l *Link) Holes() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.holes
}
