package device

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/cupline/cupline/schema/topology"
)

// Reach is which of a tenant's devices a key may see and command: those that match the pattern and
// have all of the labels. The zero value is all of them.
type Reach struct {
	// Pattern of the device's id; * stands for any run of characters, also for none. Empty: every id.
	Pattern string `json:"pattern,omitempty"`
	// Labels that the device has to have, with these values.
	Labels map[string]string `json:"labels,omitempty"`
}

// MaxReachStars is the most * of a pattern.
const MaxReachStars = 4

// All reports whether nothing is left out.
func (r Reach) All() bool { return (r.Pattern == "" || r.Pattern == "*") && len(r.Labels) == 0 }

// Covers reports whether a device with that id and these labels is within reach.
func (r Reach) Covers(id string, labels map[string]string) bool {
	if r.Pattern != "" && !match(r.Pattern, id) {
		return false
	}
	for name, value := range r.Labels {
		if has, there := labels[name]; !there || has != value {
			return false
		}
	}
	return true
}

// match walks back to the last star only: what it swallowed may grow, what stood before it is settled.
func match(pattern, id string) bool {
	star, from := -1, 0
	p, i := 0, 0
	for i < len(id) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && pattern[p] == id[i]:
			p++
			i++
		case star >= 0:
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// Check reports every problem at once.
func (r Reach) Check() error {
	var problems []error
	stars, rest := 0, make([]byte, 0, len(r.Pattern))
	for i := range len(r.Pattern) {
		if r.Pattern[i] == '*' {
			stars++
			continue
		}
		rest = append(rest, r.Pattern[i])
	}
	if stars > MaxReachStars || len(rest) > 0 && !topology.ValidID(string(rest)) {
		problems = append(problems, fmt.Errorf("devices.pattern: must be a device's id, with at most %d * in it", MaxReachStars))
	}
	if len(r.Labels) > MaxLabels {
		problems = append(problems, fmt.Errorf("devices.labels: must be at most %d", MaxLabels))
	}
	for name, value := range r.Labels {
		if name == "" || len(name) > MaxLabelLength || len(value) > MaxLabelLength || !utf8.ValidString(name+value) {
			problems = append(problems, errors.New("devices.labels: no device can have one of these"))
			break
		}
	}
	return errors.Join(problems...)
}
