package push

import "testing"

// Budgets of objects for what is done once for every outcome. They are what it takes now: one more is to be meant.
func TestObjects(t *testing.T) {
	o, buffer := sample(), make([]byte, 0, 1024)
	ack := ClientFrame{Type: TypeAck, Seq: 123456}.Line()
	for name, one := range map[string]struct {
		budget float64
		do     func() error
	}{
		"write an outcome's frame": {0, func() error { buffer = o.Append(buffer[:0]); return nil }},
		"read an ack":              {6, func() error { return ParseClient(ack, func(ClientFrame) error { return nil }) }},
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
