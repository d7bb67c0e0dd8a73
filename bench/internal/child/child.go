// Package child runs the load's own programs beside the bench, and speaks with them in lines.
package child

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const (
	// grace is what a program may take to end at SIGTERM before it is killed.
	grace = 20 * time.Second
	// longest line that a program may say, in bytes.
	longest = 1 << 20
)

// Child is a running program.
type Child struct {
	name  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string
	errs  *tail
	read  sync.WaitGroup
}

// Start runs a program with the bench's environment and env, until Stop: the end of ctx does not end it.
func Start(ctx context.Context, path string, env []string, arguments ...string) (*Child, error) {
	ctx = context.WithoutCancel(ctx) // it is ended in order
	c := &Child{name: filepath.Base(path), cmd: exec.CommandContext(ctx, path, arguments...), lines: make(chan string, 64), errs: &tail{}}
	c.cmd.Env = append(os.Environ(), env...)
	// An interrupt at the terminal is for the bench, which ends its children in order.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	complaints, err := c.cmd.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	complained := make(chan struct{})
	c.read.Go(func() {
		defer close(complained)
		_, _ = io.Copy(c.errs, complaints) // it ends with the program
	})
	c.read.Go(func() {
		defer close(c.lines)
		c.listen(out)
		<-complained // so that who finds it ended finds out why
	})
	return c, nil
}

func (c *Child) listen(out io.Reader) {
	scanner := bufio.NewScanner(out)
	scanner.Buffer(nil, longest)
	for scanner.Scan() {
		c.lines <- scanner.Text()
	}
}

// PID of the program.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Line is the next that the program says.
func (c *Child) Line(ctx context.Context) (string, error) {
	select {
	case line, ok := <-c.lines:
		if !ok {
			return "", fmt.Errorf("%s has ended: %s", c.name, c.errs.String())
		}
		return line, nil
	case <-ctx.Done():
		return "", fmt.Errorf("wait for %s: %w", c.name, context.Cause(ctx))
	}
}

// Say writes to the program's input.
func (c *Child) Say(text string) error {
	if _, err := io.WriteString(c.in, text); err != nil {
		return fmt.Errorf("speak with %s: %w: %s", c.name, err, c.errs.String())
	}
	return nil
}

// Stop ends the program: its input first, then SIGTERM, then SIGKILL. The error says how it ended if not well.
func (c *Child) Stop() error {
	_ = c.in.Close() // it may have ended already
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(grace, func() { _ = c.cmd.Process.Kill() })
	defer kill.Stop()
	for range c.lines {
	}
	c.read.Wait()
	err := c.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGTERM {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s ended: %w: %s", c.name, err, c.errs.String())
	}
	return nil
}

// tail keeps the last of what is written.
type tail struct {
	mu   sync.Mutex // guards the rest
	text []byte
}

func (t *tail) Write(b []byte) (int, error) {
	const most = 4 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if len(t.text) > most {
		t.text = append([]byte(nil), t.text[len(t.text)-most:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
