package schedule

import (
	"fmt"
	"slices"
	"strings"
)

// Choice is faults to be drawn and no others: those of one action, on targets whose name has
// the text in it.
type Choice struct {
	Action Action
	Target string
}

// ParseChoices reads "kill,cut@database": every kill, and cuts of links to the database. The
// error names the actions that there are.
func ParseChoices(text string) ([]Choice, error) {
	var choices []Choice
	for _, part := range strings.Split(text, ",") {
		action, target, _ := strings.Cut(strings.TrimSpace(part), "@")
		if action == "" {
			continue
		}
		if !slices.Contains(Actions(), Action(action)) {
			return nil, fmt.Errorf("there is no fault %q; there are %s", action, join(Actions()))
		}
		choices = append(choices, Choice{Action(action), target})
	}
	return choices, nil
}

// Actions are all that there are, in alphabetical order.
func Actions() []Action {
	var all []Action
	for _, of := range ways() {
		for _, w := range of {
			all = append(all, w.action)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func join(actions []Action) string {
	words := make([]string, len(actions))
	for i, a := range actions {
		words[i] = string(a)
	}
	return strings.Join(words, ", ")
}

func chosen(only []Choice, t Target, a Action) bool {
	return len(only) == 0 || slices.ContainsFunc(only, func(c Choice) bool {
		return c.Action == a && strings.Contains(t.Name, c.Target)
	})
}
