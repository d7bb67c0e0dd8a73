package livetest

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/cupline/cupline/local/process"
)

// bedRun is a testbed under way.
type bedRun struct {
	command *exec.Cmd
	told    bytes.Buffer // to be read when it has ended
	ended   chan error
}

// bed runs testbed without waiting for it.
func bed(t *testing.T, folder string, arguments ...string) *bedRun {
	t.Helper()
	started := &bedRun{command: exec.CommandContext(bounded(t), testbed, arguments...), ended: make(chan error, 1)}
	started.command.Dir, started.command.Stdout, started.command.Stderr = folder, &started.told, &started.told
	// No controlling terminal, as in a test run by a machine, and no group that a signal to the tests would reach.
	started.command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	started.command.Cancel = func() error { return started.command.Process.Signal(syscall.SIGTERM) }
	if err := started.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { started.ended <- started.command.Wait() }()
	return started
}

// code waits for testbed and returns its exit code, -1 when a signal ended it.
func (b *bedRun) code(t *testing.T) int {
	t.Helper()
	err := <-b.ended
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return b.command.ProcessState.ExitCode()
}

// awaitCommand waits until testbed's command has made a file.
func (b *bedRun) awaitCommand(t *testing.T, file string) {
	t.Helper()
	eventually(t, "the command runs", func() bool {
		select {
		case err := <-b.ended:
			t.Fatalf("testbed ended before its command ran: %v\n%s", err, &b.told)
		default:
		}
		return exists(file)
	})
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestTestbedRunsACommand(t *testing.T) {
	t.Parallel()
	folder := openFolder(t)
	running := filepath.Join(folder, "running")

	// The first run is killed; what it leaves must be gone when the second has ended.
	killed := bed(t, folder, "--", "/bin/sh", "-c", `echo $$ >running.new && mv running.new running; exec sleep 1000`)
	killed.awaitCommand(t, running)
	if err := killed.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	endCommand(t, running)
	if code := killed.code(t); code != -1 {
		t.Fatalf("the killed run ended with %d", code)
	}
	left, err := filepath.Glob(filepath.Join(folder, ".run/test-*/*/*.pid"))
	if err != nil || len(left) != 3 {
		t.Fatalf("the killed run left the pid files %v, %v", left, err)
	}
	orphans := processesOf(t, left)

	second := bed(t, folder, "--", "/bin/sh", "-c", `trap 'exit 9' TERM
		env | grep ^CUPLINE_TEST_ | sort >exports; echo $$ >running.new && mv running.new running
		while :; do sleep 1000 & wait; done`)
	second.awaitCommand(t, running)
	checkExports(t, filepath.Join(folder, "exports"))
	for _, orphan := range orphans {
		if exists("/proc/"+strconv.Itoa(orphan)+"/environ") && !zombie(t, orphan) {
			t.Errorf("process %d of the killed run is still there", orphan)
		}
	}
	if err := second.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := second.code(t); code != 9 {
		t.Errorf("exit code %d, want the command's own, 9\n%s", code, &second.told)
	}
	if left, err := filepath.Glob(filepath.Join(folder, ".run/*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v\n%s", left, err, &second.told)
	}
	if password := passwordOf(t, filepath.Join(folder, "exports")); strings.Contains(second.told.String(), password) {
		t.Error("testbed printed a password")
	}
}

// endCommand ends the command that a killed run left; its whole group, whose number it wrote.
func endCommand(t *testing.T, running string) {
	t.Helper()
	content, err := os.ReadFile(running)
	if err != nil {
		t.Fatal(err)
	}
	leader, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(syscall.Kill(-leader, syscall.SIGKILL), os.Remove(running)); err != nil {
		t.Fatal(err)
	}
}

func processesOf(t *testing.T, pidFiles []string) []int {
	t.Helper()
	var all []int
	for _, pidFile := range pidFiles {
		found, err := process.Find(pidFile)
		if err != nil || found == nil {
			t.Fatalf("%s: %v, %v", pidFile, found, err)
		}
		all = append(all, found.PID())
	}
	return all
}

// zombie reports whether a process has ended and only waits for its parent, which is not us.
func zombie(t *testing.T, pid int) bool {
	t.Helper()
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if errors.Is(err, os.ErrNotExist) {
		return true
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.HasPrefix(string(stat[bytes.LastIndexByte(stat, ')'):]), ") Z")
}

// checkExports reads the variables that a command saw, and uses them.
func checkExports(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	exports := map[string]string{}
	for line := range strings.Lines(string(content)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		exports[name] = value
	}
	if answer, err := query(t, exports["CUPLINE_TEST_DATABASE_URL"], "SELECT 1"); err != nil || answer != "1" {
		t.Errorf("the database answers %q, %v", answer, err)
	}
	var queues []any
	if code := ask(t, "GET", exports["CUPLINE_TEST_MANAGEMENT_URL"], "/api/queues", "", &queues); code != 200 {
		t.Errorf("the management API answers %d", code)
	}
	if !strings.HasPrefix(exports["CUPLINE_TEST_AMQP_URL"], "amqp://cupline:") ||
		!strings.HasPrefix(exports["CUPLINE_TEST_MQTT_ADDR"], "127.0.0.1:") {
		t.Errorf("exports: %d lines, not as expected", len(exports))
	}
}

// passwordOf is the broker's, from the variables that a command saw.
func passwordOf(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(content), "amqp://cupline:")
	password, _, found := strings.Cut(rest, "@")
	if !found {
		t.Fatal("no password in the exports")
	}
	return password
}

func TestTestbedVerbs(t *testing.T) {
	t.Parallel()
	folder := openFolder(t)
	verb := func(name string, want int) string {
		t.Helper()
		run := bed(t, folder, name, "bed")
		if code := run.code(t); code != want {
			t.Fatalf("testbed %s: exit code %d, want %d\n%s", name, code, want, &run.told)
		}
		return run.told.String()
	}
	t.Cleanup(func() { verb("remove", 0) })
	if told := verb("env", 1); exists(filepath.Join(folder, "bed")) {
		t.Errorf("env of nothing made a folder: %s", told)
	}
	verb("start", 0)
	exports := verb("env", 0)
	if strings.Count(exports, "\nexport ")+1 != 4 || !strings.HasPrefix(exports, "export CUPLINE_TEST_AMQP_URL='amqp://") {
		t.Errorf("env does not print four exports, but %d bytes", len(exports))
	}
	if told := verb("start", 0); !strings.Contains(told, "already running") {
		t.Errorf("a second start: %s", told)
	}
	verb("stop", 0)
	verb("stop", 0)
	if told := verb("env", 1); !strings.Contains(told, "nothing runs") {
		t.Errorf("env after stop: %s", told)
	}
	verb("remove", 0)
	if exists(filepath.Join(folder, "bed")) {
		t.Error("remove left the folder")
	}
}

func TestTestbedUsage(t *testing.T) {
	t.Parallel()
	folder := openFolder(t)
	for name, c := range map[string]struct {
		arguments []string
		code      int
		says      string
	}{
		"nothing":         {nil, 2, "usage:"},
		"help":            {[]string{"-h"}, 0, "usage:"},
		"an unknown verb": {[]string{"dance", "x"}, 1, "no verb"},
		"an unknown flag": {[]string{"--dance"}, 2, "usage:"},
		"no folder":       {[]string{"start"}, 2, "usage:"},
		"only install":    {[]string{"--install", "go", "install"}, 0, ""},
		"and a folder":    {[]string{"install", "x"}, 2, "usage:"},
	} {
		t.Run(name, func(t *testing.T) {
			run := bed(t, folder, c.arguments...)
			if code := run.code(t); code != c.code || !strings.Contains(run.told.String(), c.says) {
				t.Errorf("exit code %d, want %d with %q:\n%s", code, c.code, c.says, &run.told)
			}
			if left, err := filepath.Glob(filepath.Join(folder, "*")); err != nil || len(left) > 0 {
				t.Errorf("it left %v, %v", left, err)
			}
		})
	}
}
