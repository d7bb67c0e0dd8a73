package topology

import "strings"

// overlap tells whether some routing key matches both binding keys of topic exchanges
// (AMQP 0-9-1, 3.1.3.3): a star is one word, a hash any number of words.
func overlap(a, b string) bool {
	return overlapWords(strings.Split(a, "."), strings.Split(b, "."))
}

func overlapWords(a, b []string) bool {
	switch {
	case len(a) == 0 && len(b) == 0:
		return true
	case len(a) > 0 && a[0] == "#":
		// The hash is no word, or takes the next of the other.
		return overlapWords(a[1:], b) || len(b) > 0 && overlapWords(a, b[1:])
	case len(b) > 0 && b[0] == "#":
		return overlapWords(b, a)
	case len(a) == 0 || len(b) == 0:
		return false
	}
	return (a[0] == b[0] || a[0] == "*" || b[0] == "*") && overlapWords(a[1:], b[1:])
}
