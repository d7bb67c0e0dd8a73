package jsonrpc

import "testing"

// Budgets of objects for what is done once for every command. They are what it takes now: one more is to be meant.
func TestObjects(t *testing.T) {
	request := []byte(`{"jsonrpc":"2.0","id":"c-42","method":"relay.set","params":{"on":true}}`)
	response := []byte(`{"jsonrpc":"2.0","id":"01908c3e-0000-7000-8000-000000000000","result":{"on":true,"executions":7}}`)
	hundred, id := batch(MaxBatch), []byte(`"c-42"`)
	for name, one := range map[string]struct {
		budget float64
		do     func() error
	}{
		"read a request":      {3, func() error { _, err := ParseRequest(request); return err }},
		"read a batch of 100": {108, func() error { _, _, err := ParseBatch(hundred); return err }},
		"read a response, change its id": {1, func() error {
			r, err := ParseResponse(response)
			r.WithID(id)
			return err
		}},
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
