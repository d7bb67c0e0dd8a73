package audit_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/internal/storetest"
)

func TestFailedLoginsAreBounded(t *testing.T) {
	t.Parallel()
	trail := audit.New(storetest.Database(t).Pool(t))
	logins := audit.NewLogins(trail, audit.StageIntake, zap.NewNop())
	if err := logins.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	const tries = 5000
	for i := range tries {
		logins.Failed(fmt.Sprintf("key %d", i), "192.0.2.1", "the key is not known")
	}
	var entries []audit.Entry
	for end := time.Now().Add(storetest.Patience); len(entries) == 0 || !strings.Contains(entries[len(entries)-1].Detail, "more before it"); {
		if time.Now().After(end) {
			t.Fatalf("%d entries, and none tells of the rest", len(entries))
		}
		logins.Failed("key last", "", "the key is not known")
		var err error
		if entries, err = trail.List(t.Context(), "system", time.Time{}, tries); err != nil {
			t.Fatal(err)
		}
	}
	if len(entries) < 50 || len(entries) > 500 || entries[0].Action != "login_failed" || entries[0].Detail != "from 192.0.2.1: the key is not known" {
		t.Errorf("%d entries, the first is %+v", len(entries), entries[0])
	}
	if err := logins.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
