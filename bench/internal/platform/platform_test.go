package platform

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/cupline/cupline/local/place"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A second bench in the same folder must neither run nor end what the first one has running.
func TestSecondBenchIsRefused(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	lock, err := place.Take(folder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), Config{Folder: folder}); !errors.Is(err, place.ErrLocked) {
		t.Errorf("got %v", err)
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 1 {
		t.Errorf("it left %v, %v", entries, err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
}

// Every type passes the check that it would have to pass at the API.
func TestTypes(t *testing.T) {
	t.Parallel()
	p := &Platform{cfg: Config{Devices: 2}}
	for _, one := range types() {
		if err := one.Check(); err != nil {
			t.Errorf("%s: %v", one.Name, err)
		}
	}
	if ids := p.Devices(MQTT); len(ids) != 2 || ids[0] == ids[1] {
		t.Errorf("%v", ids)
	}
}

func TestEach(t *testing.T) {
	t.Parallel()
	broken := errors.New("row 3 is refused")
	err := each(t.Context(), []int{1, 2, 3, 4, 5}, func(_ context.Context, n int) error {
		if n == 3 {
			return broken
		}
		return nil
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	var sum atomic.Int64
	err = each(t.Context(), []int{1, 2, 3, 4, 5}, func(_ context.Context, n int) error {
		sum.Add(int64(n))
		return nil
	})
	if err != nil || sum.Load() != 15 {
		t.Errorf("the items sum up to %d, %v", sum.Load(), err)
	}
}
