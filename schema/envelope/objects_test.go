package envelope

import "testing"

// Budgets of objects for what is done once for every command. They are what it takes now: one more is to be meant.
func TestObjects(t *testing.T) {
	c, o := command(), answered()
	sent, pushed := c.Message(c.Accepted), o.Message()
	for name, one := range map[string]struct {
		budget float64
		do     func() error
	}{
		"write a command":  {10, func() error { c.Message(c.Accepted); return nil }},
		"read a command":   {1, func() error { _, err := ParseCommand(&sent); return err }},
		"write an outcome": {10, func() error { o.Message(); return nil }},
		"read an outcome":  {1, func() error { _, err := ParseOutcome(&pushed); return err }},
	} {
		got := testing.AllocsPerRun(500, func() {
			if err := one.do(); err != nil {
				t.Fatal(err)
			}
		})
		t.Logf("%s: %.0f objects", name, got)
		if got > one.budget {
			t.Errorf("%s: %.0f objects, the budget is %.0f", name, got, one.budget)
		}
	}
}
