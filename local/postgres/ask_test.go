package postgres

import (
	"strings"
	"sync"
	"testing"

	"github.com/cupline/cupline/local/place"
	"github.com/cupline/cupline/local/ports"
	"github.com/cupline/cupline/local/process"
)

// TestWhereItIsMayBeAskedWhileItStarts: others ask for the address while whoever killed it starts it again.
func TestWhereItIsMayBeAskedWhileItStarts(t *testing.T) {
	t.Parallel()
	folder, err := place.Prepare(t.TempDir(), "asked", process.Self())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ports.GiveUp(folder.Path); err != nil {
			t.Error(err)
		}
	})
	i := &Instance{folder: folder, account: process.Self()}
	again := func() {
		if err := i.remember(); err != nil {
			t.Error(err)
		}
	}
	again()
	secret := i.known.Get().Password
	var asking sync.WaitGroup
	asking.Go(again)
	for range 100 {
		if at := i.URL(); secret == "" || !strings.Contains(at, secret) {
			t.Errorf("it is told to be at %s, with the secret %q", at, secret)
			break
		}
	}
	asking.Wait()
}
