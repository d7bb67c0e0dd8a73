package app

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cupline/cupline/store/audit"
)

// Whoever tries name after name at the broker does not fill the audit trail: what is not listed is counted.
func TestRefusedDevicesAreListedWithinBounds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	vhost := must(vhostOf(w.broker.URL()))
	const tries = 6 * refusalBurst
	began := time.Now()
	// Several at a time: if they took as long as their rate allows for all of them, none would be left out.
	const guessers = 10
	var all sync.WaitGroup
	for guesser := range guessers {
		all.Go(func() {
			for i := guesser; i < tries; i += guessers {
				form := url.Values{"username": {fmt.Sprintf("acme/lamp-%d", i)}, "password": {"guess"}, "client_id": {fmt.Sprintf("acme/lamp-%d", i)}, "vhost": {vhost}}
				request := must(http.NewRequest("POST", "http://"+w.app.InternalAddr()+BrokerPath+"/user", strings.NewReader(form.Encode())))
				request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				answer, err := w.base.RoundTrip(request)
				if err == nil {
					err = answer.Body.Close()
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	listed := 0
	for _, tenant := range []string{"acme", "system"} {
		entries, err := audit.New(w.pool).List(t.Context(), tenant, began.Add(-time.Minute), 1000)
		w.check(err)
		for _, e := range entries {
			if e.Action == "log_in_refused" {
				listed++
			}
		}
	}
	// The rate goes on while they come.
	most := refusalBurst + refusalRate*int(time.Since(began).Seconds()+1)
	if listed < refusalBurst/2 || listed > min(most, tries-1) {
		t.Errorf("%d of %d are listed, at most %d should be", listed, tries, most)
	}
}
