package usage

import (
	"context"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The name of a program may hold anything: fields are counted from behind its last parenthesis.
func TestParseStat(t *testing.T) {
	t.Parallel()
	got, err := parseStat(7, "7 (a) S 1 (b) R 42 7 7 0 -1 4194304 1 2 3 4 100 20 3 1 20 0 1 0 500 0 0\n")
	want := stat{pid: 7, parent: 42, cpu: 124 * tick, reaped: 4 * tick}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, line := range []string{"", "7 (a) S 1 2 3", "7 (a) S x 7 7 0 -1 4194304 1 2 3 4 100 20 3 1 20", "7 (a) S 1 7 7 0 -1 4194304 1 2 3 4 100 x 3 1 20"} {
		if _, err := parseStat(7, line); err == nil {
			t.Errorf("%q was taken", line)
		}
	}
}

func TestParseBusy(t *testing.T) {
	t.Parallel()
	busy, stolen, err := parseBusy("cpu  100 10 20 9999 8888 1 2 50 7 7")
	if err != nil || busy != 133*tick || stolen != 50*tick {
		t.Errorf("busy %s, stolen %s, %v", busy, stolen, err)
	}
	for _, line := range []string{"", "cpu0 1 2 3 4 5 6 7 8", "cpu 1 2 3", "cpu 1 x 3 4 5 6 7 8 9 10"} {
		if _, _, err := parseBusy(line); err == nil {
			t.Errorf("%q was taken", line)
		}
	}
}

// A tree's time holds that of a child that runs, and keeps that of one that has ended.
func TestTree(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	// The inner shell spends its time, says so, and ends when its input does; the outer one then waits, too.
	const burn = `sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo spent; read x'; echo reaped; read x`
	outer := exec.CommandContext(ctx, "sh", "-c", burn)
	in, err := outer.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := outer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := outer.Start(); err != nil {
		t.Fatal(err)
	}
	tree := Tree{Name: "sh", PID: outer.Process.Pid}
	said := make([]byte, 16)
	for _, want := range []string{"spent\n", "reaped\n"} {
		if n, err := out.Read(said); err != nil || string(said[:n]) != want {
			t.Fatalf("it said %q, %v", said[:n], err)
		}
		if spent, err := tree.CPU(); err != nil || spent < 2*tick {
			t.Errorf("when it said %q: spent %s, %v", want, spent, err)
		}
		if size, err := tree.Memory(); err != nil || size < 4096 {
			t.Errorf("when it said %q: occupies %d bytes, %v", want, size, err)
		}
		if want == "spent\n" {
			release(t, in)
		}
	}
	alone := Tree{Name: "sh", PID: outer.Process.Pid, Alone: true}
	whole, err := tree.CPU()
	if own, ownErr := alone.CPU(); err != nil || ownErr != nil || own+2*tick > whole {
		t.Errorf("spent %s alone of %s with its child, %v, %v", own, whole, ownErr, err)
	}
	release(t, in)
	if err := outer.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := tree.CPU(); err == nil {
		t.Error("a process that has ended was read")
	}
}

func release(t *testing.T, in io.Writer) {
	t.Helper()
	if _, err := in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
}

func TestMachine(t *testing.T) {
	t.Parallel()
	before, _, err := Busy()
	if err != nil {
		t.Fatal(err)
	}
	self := Tree{Name: "self", PID: os.Getpid()}
	if mine, err := self.CPU(); err != nil || mine > before+time.Minute {
		t.Errorf("this process spent %s of the machine's %s, %v", mine, before, err)
	}
	if m := Describe(); m.Cores < 1 || m.Memory < 1<<20 || m.Kernel == "" {
		t.Errorf("%+v", m)
	}
}
