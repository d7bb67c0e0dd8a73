// Package readme_test does what README tells a newcomer to do, with README's own commands.
package readme_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cupline/cupline/local/services"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // all of it needs processes
	}
	os.Exit(m.Run())
}

// TestReadmesOwnCommands runs `make up` in a folder of its own, sends a command with the
// CLI, and then by hand with curl while a WebSocket client listens. Last it ends
// `make up` as Ctrl-C does, and looks whether anything still runs.
func TestReadmesOwnCommands(t *testing.T) {
	root, err := services.Root()
	if err != nil {
		t.Fatal(err)
	}
	site := newSite(t, root)
	site.up(t)

	printed := site.run(t, "cli")
	var response struct {
		Result struct{ Load1, Load5, Load15 *float64 }
	}
	if err := json.Unmarshal(printed, &response); err != nil || response.Result.Load15 == nil {
		t.Errorf("the first command printed %s: %v", printed, err)
	}

	lines, hangUp := site.start(t, "listen")
	awaitLine(t, lines, `"type":"welcome"`)
	accepted := site.run(t, "curl")
	if !bytes.HasPrefix(accepted, []byte(`{"id":"c-42","command_id":"`)) {
		t.Errorf("curl printed %s", accepted)
	}
	outcome := awaitLine(t, lines, `"type":"outcome"`)
	for _, part := range []string{`"id":"c-42"`, `"device":"host"`, `"source":"live"`, `"load1":`} {
		if !strings.Contains(outcome, part) {
			t.Errorf("the outcome %s has no %s", outcome, part)
		}
	}
	hangUp()

	heard, unplug := site.start(t, "device")
	// Devices hear what is sent while they are there: it is sent again until one was heard.
	again := time.NewTicker(time.Second)
	defer again.Stop()
	var said []string
	for limit, told := time.After(limit), ""; told == ""; {
		select {
		case line, ok := <-heard:
			if !ok {
				t.Fatalf("the device has ended: %s", strings.Join(said, "\n"))
			}
			said = append(said, line)
			if strings.HasPrefix(line, "devices/demo/lamp-1/commands/") {
				told = line
			}
		case <-again.C:
			site.run(t, "send")
		case <-limit:
			t.Fatal("the device hears nothing")
		}
	}
	unplug()
	site.interrupt(t)
}

// site is a running `make up`.
type site struct {
	root, folder string
	blocks       map[string]string
	make         *exec.Cmd
	log          string
	ended        chan error
}

// newSite reads the blocks of README that are marked for this test. They say .run, which
// becomes a folder of the test's own.
func newSite(t *testing.T, root string) *site {
	t.Helper()
	folder, err := os.MkdirTemp("", "cupline-readme-")
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	s := &site{root: root, folder: folder, blocks: map[string]string{}, log: filepath.Join(folder, "make.log")}
	marked := regexp.MustCompile("(?s)<!-- readme-test: ([a-z]+) -->\n```sh\n(.*?)```")
	for _, block := range marked.FindAllStringSubmatch(string(content), -1) {
		s.blocks[block[1]] = strings.ReplaceAll(block[2], ".run/", folder+"/")
	}
	return s
}

// limit bounds each step; a cold build on a busy machine is the longest.
const limit = 5 * time.Minute

// up runs `make up` and returns when it says that it is ready.
func (s *site) up(t *testing.T) {
	t.Helper()
	log, err := os.Create(s.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.make = exec.Command("make", "up", "UP=--folder "+s.folder)
	s.make.Dir, s.make.Stdout, s.make.Stderr = s.root, log, log
	s.make.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.make.Start(); err != nil {
		t.Fatal(err)
	}
	s.ended = make(chan error, 1)
	go func() { s.ended <- s.make.Wait() }()
	t.Cleanup(func() { s.cleanUp(t) })
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.After(limit); ; {
		if content, err := os.ReadFile(s.log); err == nil && bytes.Contains(content, []byte("Cupline is ready")) {
			return
		}
		select {
		case <-poll.C: // a log file gives no signal
		case err := <-s.ended:
			s.ended <- err
			t.Fatalf("make up ended: %v\n%s", err, s.said())
		case <-deadline:
			t.Fatalf("make up is not ready:\n%s", s.said())
		}
	}
}

func (s *site) said() []byte {
	content, err := os.ReadFile(s.log)
	if err != nil {
		return []byte(err.Error())
	}
	return content
}

// cleanUp ends what still runs, and deletes everything, as `make reset` does.
func (s *site) cleanUp(t *testing.T) {
	// Gone already, most often.
	_ = syscall.Kill(-s.make.Process.Pid, syscall.SIGTERM)
	select {
	case err := <-s.ended:
		t.Logf("make up ended: %v", err)
	case <-time.After(limit):
		t.Error("make up does not end")
	}
	reset := exec.Command("make", "reset", "UP=--folder "+s.folder)
	reset.Dir = s.root
	if said, err := reset.CombinedOutput(); err != nil {
		t.Errorf("make reset: %v\n%s", err, said)
	}
	if err := os.RemoveAll(s.folder); err != nil {
		t.Error(err)
	}
}

// shell is one of README's blocks as a process, in the checkout's folder.
func (s *site) shell(ctx context.Context, t *testing.T, name string) *exec.Cmd {
	t.Helper()
	block, ok := s.blocks[name]
	if !ok {
		t.Fatalf("README has no block %q", name)
	}
	command := exec.CommandContext(ctx, "sh", "-e", "-c", block)
	command.Dir = s.root
	return command
}

// run runs one of README's blocks and returns what it prints.
func (s *site) run(t *testing.T, name string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	command := s.shell(ctx, t, name)
	var problems bytes.Buffer
	command.Stderr = &problems
	printed, err := command.Output()
	if err != nil {
		t.Fatalf("README's %s: %v\n%s%s", name, err, printed, problems.Bytes())
	}
	return printed
}

// start starts one of README's blocks and returns its lines as they come, and what ends it.
func (s *site) start(t *testing.T, name string) (<-chan string, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	command := s.shell(ctx, t, name)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// An open standard input, as a terminal's: the listener ends when it does.
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = command.Stdout
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1000)
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	hangUp := sync.OnceFunc(func() {
		cancel()
		<-read
		_ = stdin.Close()
		_ = command.Wait() // killed
	})
	t.Cleanup(hangUp)
	return lines, hangUp
}

func awaitLine(t *testing.T, lines <-chan string, part string) string {
	t.Helper()
	var seen []string
	for deadline := time.After(limit); ; {
		select {
		case line, ok := <-lines:
			if strings.Contains(line, part) {
				return line
			}
			if !ok {
				t.Fatalf("no line with %s, but:\n%s", part, strings.Join(seen, "\n"))
			}
			seen = append(seen, line)
		case <-deadline:
			t.Fatalf("no line with %s yet, but:\n%s", part, strings.Join(seen, "\n"))
		}
	}
}

// interrupt ends `make up` as a terminal's Ctrl-C does, and finds nothing running afterwards.
func (s *site) interrupt(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(-s.make.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-s.ended:
		s.ended <- err
	case <-time.After(limit):
		t.Fatalf("make up does not end after Ctrl-C:\n%s", s.said())
	}
	if !bytes.Contains(s.said(), []byte("stopped")) {
		t.Errorf("make up does not say that it has stopped:\n%s", s.said())
	}
	if left := running(t, s.folder); len(left) > 0 {
		t.Errorf("still running after Ctrl-C:\n%s", strings.Join(left, "\n"))
	}
	if _, err := os.Stat(filepath.Join(s.folder, "cupline.env")); err != nil {
		t.Errorf("the data does not survive: %v", err)
	}
}

// running lists processes that have the folder in their command line.
func running(t *testing.T, folder string) []string {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range lines {
		content, err := os.ReadFile(path)
		if err == nil && bytes.Contains(content, []byte(folder)) {
			found = append(found, fmt.Sprintf("%s: %s", path, bytes.ReplaceAll(content, []byte{0}, []byte{' '})))
		}
	}
	return found
}
