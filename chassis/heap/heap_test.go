package heap

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"testing"
	"unsafe"
)

// restore puts back what a test changes for the whole process.
func restore(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(math.MaxInt64)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
}

// room is how much may be allocated until the collector runs.
func room() int64 {
	runtime.GC()
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	return int64(now.NextGC) - int64(now.HeapAlloc)
}

func TestGarbageMayLie(t *testing.T) {
	restore(t)
	t.Setenv("GOGC", "")
	before := room()
	release := Garbage{Percent: 50, Least: 32 << 20}.Allow()
	with := room()
	release()
	if before > 16<<20 || with < 32<<20 || with > 64<<20 {
		t.Errorf("%d bytes of garbage may lie, and %d when 32 MiB are to", before, with)
	}
}

// asProgram has the test's own program be one that has just begun: memory that was used before is not untouched.
const asProgram = "CUPLINE_TEST_BALLAST"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	untouched := Garbage{Percent: 100, Least: 256 << 20}.ballast()
	fmt.Print(resident(untouched))
	runtime.KeepAlive(untouched)
}

// What takes an address and no page costs no memory.
func TestBallastIsNotResident(t *testing.T) {
	program := exec.CommandContext(t.Context(), os.Args[0])
	program.Env = append(os.Environ(), asProgram+"=1")
	said, err := program.CombinedOutput()
	pages, notNumber := strconv.Atoi(string(said))
	if err != nil || notNumber != nil || pages > 16 {
		t.Errorf("%s pages of 256 MiB are in memory: %v", said, err)
	}
}

// resident is how many pages of a slice are in memory.
func resident(of []byte) (pages int) {
	size := os.Getpagesize()
	inMemory := make([]byte, len(of)/size)
	//nolint:gosec // an address is what the system asks for
	if _, _, err := syscall.Syscall(syscall.SYS_MINCORE, uintptr(unsafe.Pointer(&of[0])), uintptr(len(of)), uintptr(unsafe.Pointer(&inMemory[0]))); err != 0 {
		fmt.Print(err)
	}
	for _, page := range inMemory {
		pages += int(page & 1)
	}
	return pages
}

func TestTheEnvironmentGoesBefore(t *testing.T) {
	restore(t)
	t.Setenv("GOGC", "70")
	Garbage{Percent: 50, Least: 1 << 20}.Allow()()
	if p := debug.SetGCPercent(100); p != 100 {
		t.Errorf("GOGC is set, and the percentage was changed to %d", p)
	}
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "100MiB")
	debug.SetMemoryLimit(100 << 20)
	Garbage{Percent: 50, Least: 1 << 20}.Allow()()
	if l := debug.SetMemoryLimit(-1); l != 102<<20 {
		t.Errorf("the limit is %d: it must hold for what is used, without the ballast", l)
	}
}
