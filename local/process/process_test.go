package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// A run that starts a process and is killed before it can stop it.
	if pidFile := os.Getenv("TEST_ORPHAN"); pidFile != "" {
		os.Exit(leaveOrphan(pidFile))
	}
	goleak.VerifyTestMain(m)
}

func leaveOrphan(pidFile string) int {
	_, err := Start(Spec{Name: "orphan", Path: "/bin/sh", Args: []string{"-c", "sleep 100 & wait"}, Dir: "/",
		Env: []string{"PATH=/usr/bin:/bin"}, Log: pidFile + ".log", PidFile: pidFile, Account: Self()})
	if err != nil {
		return 1
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	return 1 // not reached
}

// limit is far more than anything here takes.
const limit = time.Minute

// shell is a process that runs a script and says "up" in its log when it has come to that.
func shell(t *testing.T, script string) (Spec, *Process) {
	t.Helper()
	folder := t.TempDir()
	spec := Spec{Name: "script", Path: "/bin/sh", Args: []string{"-c", script}, Dir: folder,
		Env: []string{"PATH=/usr/bin:/bin"}, Log: filepath.Join(folder, "log"),
		PidFile: filepath.Join(folder, "pid"), Account: Self()}
	started, err := Start(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := started.Kill(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := started.Ready(ctx, func(context.Context) error { return contains(spec.Log, "up") }); err != nil {
		t.Fatal(err)
	}
	return spec, started
}

func contains(path, word string) error {
	content, err := os.ReadFile(path)
	if err == nil && !strings.Contains(string(content), word) {
		err = errors.New("not yet")
	}
	return err
}

func alive(t *testing.T, pid int) bool {
	t.Helper()
	_, lives, err := startTime(pid)
	if err != nil {
		t.Fatal(err)
	}
	return lives
}

func TestStartRunsInASessionOfItsOwn(t *testing.T) {
	spec, started := shell(t, `echo "$CUPLINE_PROCESS"; echo up; exec sleep 100`)
	pid := started.PID()
	if session, _, errno := syscall.Syscall(syscall.SYS_GETSID, uintptr(pid), 0, 0); errno != 0 || int(session) != pid {
		t.Errorf("process %d is in session %d (%v)", pid, session, errno)
	}
	if info, err := os.Stat(spec.PidFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("pid file: %v, %v", info, err)
	}
	if _, err := Start(spec); !errors.Is(err, ErrRunning) {
		t.Errorf("a second Start: %v, want ErrRunning", err)
	}
	if !alive(t, pid) {
		t.Error("the second Start ended the first process")
	}
}

func TestStopAsksFirst(t *testing.T) {
	spec, started := shell(t, `trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 100 & wait; done`)
	if err := started.Stop(t.Context(), syscall.SIGTERM, limit); err != nil {
		t.Fatal(err)
	}
	if err := contains(spec.Log, "bye"); err != nil {
		t.Errorf("the process was not asked: %v", err)
	}
	if _, err := os.Stat(spec.PidFile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the pid file is left: %v", err)
	}
	left, err := withToken(started.note.Token)
	if err != nil || len(left) > 0 {
		t.Errorf("left running: %v, %v", left, err)
	}
}

func TestStopKillsWhatDoesNotListen(t *testing.T) {
	_, started := shell(t, `trap '' TERM; echo up; while :; do sleep 100; done`)
	if err := started.Stop(t.Context(), syscall.SIGTERM, 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if alive(t, started.PID()) {
		t.Error("it is still there")
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := started.Wait(ctx); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("Wait = %v, want how it ended", err)
	}
}

func TestChildrenOfADeadLeaderAreFoundAndEnded(t *testing.T) {
	// A FIFO holds the leader back until it was seen to be up.
	spec, started := shell(t, `mkfifo go; setsid sleep 100 & echo up; read line < go; exit 3`)
	if err := os.WriteFile(filepath.Join(spec.Dir, "go"), []byte("on\n"), 0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := started.Wait(ctx); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Fatalf("Wait = %v", err)
	}
	found, err := Find(spec.PidFile)
	if err != nil || found == nil {
		t.Fatalf("Find = %v, %v: the child is not found", found, err)
	}
	if err := End(ctx, spec.PidFile, syscall.SIGTERM, time.Second); err != nil {
		t.Fatal(err)
	}
	if left, err := withToken(started.note.Token); err != nil || len(left) > 0 {
		t.Errorf("left running: %v, %v", left, err)
	}
}

func TestOrphansOfAKilledRunAreFoundAndEnded(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	run := exec.CommandContext(t.Context(), os.Args[0])
	run.Env = append(os.Environ(), "TEST_ORPHAN="+pidFile)
	if err := run.Run(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the run that was to be killed: %v", err)
	}
	found, err := Find(pidFile)
	if err != nil || found == nil {
		t.Fatalf("Find = %v, %v", found, err)
	}
	if !alive(t, found.PID()) {
		t.Fatal("the orphan is dead")
	}
	if err := End(t.Context(), pidFile, syscall.SIGTERM, limit); err != nil {
		t.Fatal(err)
	}
	if alive(t, found.PID()) {
		t.Error("the orphan is still there")
	}
	if found, err := Find(pidFile); found != nil || err != nil {
		t.Errorf("Find afterwards = %v, %v", found, err)
	}
	if err := End(t.Context(), pidFile, syscall.SIGTERM, limit); err != nil {
		t.Errorf("End with nothing to end: %v", err)
	}
}

// A pid file whose pid belongs to another process by now must harm nobody.
func TestAStrangerIsLeftAlone(t *testing.T) {
	boot, err := bootID()
	if err != nil {
		t.Fatal(err)
	}
	stranger := exec.CommandContext(t.Context(), "/bin/sleep", "100")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stranger.Wait() }()
	defer func() { _ = stranger.Process.Kill() }()
	start, _, err := startTime(stranger.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	for name, noted := range map[string]note{
		"another start time": {PID: stranger.Process.Pid, Start: start - 1, Boot: boot, Token: "T"},
		"an earlier boot":    {PID: stranger.Process.Pid, Start: start, Boot: "another", Token: "T"},
		"no pid yet":         {Boot: boot, Token: "T"},
	} {
		t.Run(name, func(t *testing.T) {
			pidFile := filepath.Join(t.TempDir(), "pid")
			if err := noted.write(pidFile); err != nil {
				t.Fatal(err)
			}
			if found, err := Find(pidFile); found != nil || err != nil {
				t.Errorf("Find = %v, %v; want nothing", found, err)
			}
			if err := End(t.Context(), pidFile, syscall.SIGTERM, 0); err != nil {
				t.Error(err)
			}
			if !alive(t, stranger.Process.Pid) {
				t.Fatal("the stranger was killed")
			}
		})
	}
}

func TestAFileThatIsNoPidFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	if err := os.WriteFile(path, []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(path); err == nil {
		t.Error("Find took another program's pid file")
	}
}

func TestReadyTellsAnEarlyEnd(t *testing.T) {
	_, started := shell(t, `echo up; exec sleep 100`)
	checking := make(chan struct{})
	go func() {
		<-checking
		_ = syscall.Kill(started.PID(), syscall.SIGTERM)
	}()
	var once bool
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	err := started.Ready(ctx, func(context.Context) error {
		if !once {
			once = true
			close(checking)
		}
		return errors.New("not yet")
	})
	if err == nil || !strings.Contains(err.Error(), "ended while it started") || !strings.Contains(err.Error(), "not yet") {
		t.Errorf("Ready = %v, want that it ended and what was said last", err)
	}
}

func TestStartAsAnotherUser(t *testing.T) {
	account := Self()
	if os.Geteuid() == 0 {
		account = Account{Name: "nobody", UID: 65534, GID: 65534}
	}
	folder := t.TempDir()
	log := filepath.Join(folder, "log")
	started, err := Start(Spec{Name: "id", Path: "/usr/bin/id", Args: []string{"-u"}, Dir: "/", Log: log,
		PidFile: filepath.Join(folder, "pid"), Account: account})
	if err != nil {
		t.Fatal(err)
	}
	if err := started.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := contains(log, strconv.Itoa(account.UID)); err != nil {
		t.Errorf("it ran as %q, not as %d", Tail(log), account.UID)
	}
	if err := started.Kill(); err != nil {
		t.Error(err)
	}
}

func TestStartOfWhatCannotRun(t *testing.T) {
	folder := t.TempDir()
	spec := Spec{Name: "nothing", Path: filepath.Join(folder, "absent"), Dir: folder, Log: filepath.Join(folder, "log"),
		PidFile: filepath.Join(folder, "pid"), Account: Self()}
	if _, err := Start(spec); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Start = %v", err)
	}
	if _, err := os.Stat(spec.PidFile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a pid file is left: %v", err)
	}
}

func TestParseStat(t *testing.T) {
	const behind = " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20\n"
	for stat, want := range map[string]bool{"12 (a) b) (c) S" + behind: true, "12 (x) Z" + behind: false} {
		ticks, lives, err := parseStat(stat)
		if ticks != 777 || lives != want || err != nil {
			t.Errorf("parseStat(%q) = %d, %v, %v", stat, ticks, lives, err)
		}
	}
	if _, _, err := parseStat("12 (x) S 1"); err == nil {
		t.Error("parseStat of half a line: no error")
	}
}
