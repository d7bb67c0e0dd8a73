package checker

import (
	"fmt"

	"github.com/cupline/cupline/verify/history"
)

// leakSlack is how many more there may be at the end than at first: connections that are kept
// for the next request. A leak is of every fault, every connection or every command, of which
// there are hundreds.
const leakSlack = 20

// Leaked tells whether a census found more at the end than at first.
func Leaked(e history.Event) bool { return e.Kind == history.Census && e.Count > e.Before+leakSlack }

// leaks is I7 for what a process may hold on to: goroutines, files and sockets, connections.
func leaks(b *book) (found []Violation) {
	for _, e := range b.end {
		if Leaked(e) {
			found = append(found, Violation{Invariant: "I7", Text: fmt.Sprintf("%s: %d at first, %d when all was healed and idle", e.Name, e.Before, e.Count)})
		}
	}
	return found
}
