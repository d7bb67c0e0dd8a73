package process

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// becomes waits until a process stands still, or no longer does.
func becomes(t *testing.T, pid int, still bool) {
	t.Helper()
	for limited := time.Now().Add(limit); ; pause(t.Context(), lookEvery) { // nothing signals it
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			t.Fatal(err)
		}
		_, after, _ := strings.Cut(string(stat), ") ")
		if strings.HasPrefix(after, "T") == still {
			return
		}
		if time.Now().After(limited) {
			t.Fatalf("process %d is %s", pid, after[:1])
		}
	}
}

func TestAPausedProcessStandsStillWithItsDescendants(t *testing.T) {
	// The last one's child is without the token, as a server's that writes over its environment.
	_, started := shell(t, `sleep 100 & setsid sleep 100 & (env -i sleep 100; true) & echo up; wait`)
	var family []int
	for limited := time.Now().Add(limit); len(family) < 4 && time.Now().Before(limited); pause(t.Context(), lookEvery) {
		var err error
		if family, err = started.descendants(anyone); err != nil {
			t.Fatal(err)
		}
	}
	if len(family) != 4 {
		t.Fatalf("descendants %v", family)
	}
	if err := started.Pause(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range append(family, started.PID()) {
		becomes(t, pid, true)
	}
	if err := started.Resume(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range append(family, started.PID()) {
		becomes(t, pid, false)
	}
	// Also the one without a token.
	if err := started.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range family {
		if alive(t, pid) {
			t.Errorf("process %d is left", pid)
		}
	}
}
