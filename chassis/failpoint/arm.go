package failpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// kill is the order to die; any other is how long to hold still.
const kill = "kill"

// Arm makes the nth pass (1 or more) of a point of the process with that folder hold still
// there for a time, or kill the process when that is 0. A point that is armed is armed anew.
func Arm(folder string, p Point, nth int, hold time.Duration) error {
	order := kill
	if hold > 0 {
		order = hold.String()
	}
	if _, err := Disarm(folder, p); err != nil {
		return err
	}
	// One token for each pass, the last with the order; all of them appear at once.
	making := filepath.Join(folder, ".making-"+string(p))
	if err := errors.Join(os.RemoveAll(making), os.MkdirAll(making, 0o755)); err != nil {
		return fmt.Errorf("arm %s: %w", p, err)
	}
	for i := 1; i <= nth; i++ {
		content := ""
		if i == nth {
			content = order
		}
		if err := os.WriteFile(filepath.Join(making, fmt.Sprintf("%06d", i)), []byte(content), 0o600); err != nil {
			return fmt.Errorf("arm %s: %w", p, err)
		}
	}
	if err := os.Rename(making, filepath.Join(folder, string(p))); err != nil {
		return fmt.Errorf("arm %s: %w", p, err)
	}
	return nil
}

// Disarm takes back what no pass has met yet. It reports whether the pass that counts has been:
// later none will be.
func Disarm(folder string, p Point) (met bool, err error) {
	armed, taken := filepath.Join(folder, string(p)), filepath.Join(folder, ".disarmed-"+string(p))
	if err := os.RemoveAll(taken); err != nil {
		return false, fmt.Errorf("disarm %s: %w", p, err)
	}
	if err := os.Rename(armed, taken); errors.Is(err, os.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("disarm %s: %w", p, err)
	}
	tokens, err := os.ReadDir(taken)
	if err != nil {
		return false, fmt.Errorf("disarm %s: %w", p, err)
	}
	return len(tokens) == 0, nil
}

// Armed tells whether passes are still to come until the one that counts.
func Armed(folder string, p Point) bool {
	tokens, err := os.ReadDir(filepath.Join(folder, string(p)))
	return err == nil && len(tokens) > 0
}

// pass takes one token. Who removes it is the only one to have it, whatever else passes, and
// whoever disarms, at that moment.
func pass(folder string, p Point) {
	if folder == "" {
		return
	}
	armed := filepath.Join(folder, string(p))
	tokens, err := os.ReadDir(armed)
	if err != nil {
		return
	}
	for _, token := range tokens {
		path := filepath.Join(armed, token.Name())
		order, err := os.ReadFile(path)
		if err == nil && os.Remove(path) == nil {
			obey(strings.TrimSpace(string(order)))
			return
		}
	}
}

func obey(order string) {
	if order == kill {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until it is gone
	}
	if hold, err := time.ParseDuration(order); err == nil {
		<-time.After(hold)
	}
}
