package failpoint

import (
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const hold = 300 * time.Millisecond

// Who is held is told by a clock that stands still while anybody works: on a busy machine every pass may take as long.

func TestOnlyTheNthPassIsHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		pass(folder, BeforeAck) // nothing is armed
		if err := Arm(folder, BeforeAck, 3, hold); err != nil {
			t.Fatal(err)
		}
		for nth := 1; nth <= 4; nth++ {
			if want := nth <= 3; Armed(folder, BeforeAck) != want {
				t.Errorf("armed before pass %d: %t", nth, !want)
			}
			began := time.Now()
			pass(folder, BeforeAck)
			if held := time.Since(began) >= hold; held != (nth == 3) {
				t.Errorf("pass %d held: %t", nth, held)
			}
		}
	})
}

func TestOfManyPassesAtOnceOneIsHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		if err := Arm(folder, AfterClaim, 5, hold); err != nil {
			t.Fatal(err)
		}
		var held atomic.Int32
		var passes sync.WaitGroup
		for range 40 {
			passes.Go(func() {
				began := time.Now()
				pass(folder, AfterClaim)
				if time.Since(began) >= hold {
					held.Add(1)
				}
			})
		}
		passes.Wait()
		if held.Load() != 1 || Armed(folder, AfterClaim) {
			t.Errorf("%d were held", held.Load())
		}
	})
}

func TestWhatIsDisarmedIsPassed(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := Arm(folder, AfterPush, 1, time.Hour); err != nil {
		t.Fatal(err)
	}
	if met, err := Disarm(folder, AfterPush); met || err != nil || Armed(folder, AfterPush) {
		t.Fatal("still armed, or met", met, err)
	}
	pass(folder, AfterPush)
	if err := Arm(folder, AfterPush, 1, time.Nanosecond); err != nil {
		t.Fatal(err)
	}
	pass(folder, AfterPush)
	if met, err := Disarm(folder, AfterPush); !met || err != nil {
		t.Error("it was met", met, err)
	}
	if met, err := Disarm(folder, AfterPush); met || err != nil {
		t.Error("nothing was armed any more", met, err)
	}
}

func TestAKillIsOfTheProcessItself(t *testing.T) {
	t.Parallel()
	if folder := os.Getenv(Folder); folder != "" {
		pass(folder, InMailbox)
		t.Fatal("still here")
	}
	folder := t.TempDir()
	if err := Arm(folder, InMailbox, 1, 0); err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	self := exec.CommandContext(t.Context(), program, "-test.run=^TestAKillIsOfTheProcessItself$")
	self.Env = append(os.Environ(), Folder+"="+folder)
	said, err := self.CombinedOutput()
	if err == nil || self.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("it ended with %v: %s", err, said)
	}
}
