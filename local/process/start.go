package process

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// ErrRunning is wrapped by [Start]'s error while the pid file's process, or anything that it started, still runs.
var ErrRunning = errors.New("still running")

// Spec is a program to start.
type Spec struct {
	// Name is what messages call it.
	Name string
	// Path is the program's file, and Args are its arguments without the program's own name.
	Path string
	Args []string
	// Env is its whole environment, NAME=value each; nothing is inherited.
	Env []string
	// Dir is the folder it runs in.
	Dir string
	// Log is the file that its output is appended to.
	Log string
	// PidFile is where it is noted; deleted when it is stopped.
	PidFile string
	// Account is whom it runs as.
	Account Account
	// Network is the file of the network namespace that it runs in (/run/netns/NAME), which only root may choose; the
	// caller's own when empty.
	Network string
}

// Start runs the program in a session of its own, so that neither a terminal's Ctrl-C nor the end of the caller ends
// it, and notes it in the pid file. It returns as soon as the program runs; whether it serves is the caller's to find
// out. The error wraps [ErrRunning] when the pid file's process has not ended.
func Start(spec Spec) (*Process, error) {
	if err := refuseSecond(spec); err != nil {
		return nil, err
	}
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	noted := note{Name: spec.Name, Boot: boot, Token: rand.Text()}
	if err := noted.write(spec.PidFile); err != nil {
		return nil, err
	}
	child, err := launch(spec, noted.Token)
	if err != nil {
		return nil, errors.Join(err, os.Remove(spec.PidFile))
	}
	started := &Process{note: noted, pidFile: spec.PidFile, ended: make(chan struct{})}
	started.note.PID = child.Process.Pid
	// The child cannot be gone from /proc before Wait below takes its exit status.
	started.note.Start, _, err = startTime(child.Process.Pid)
	if err == nil {
		err = started.note.write(spec.PidFile)
	}
	go func() {
		defer close(started.ended)
		started.exit = child.Wait()
	}()
	if err != nil {
		return nil, errors.Join(err, started.Kill())
	}
	return started, nil
}

func refuseSecond(spec Spec) error {
	earlier, err := Find(spec.PidFile)
	if err != nil {
		return fmt.Errorf("start %s: %w", spec.Name, err)
	}
	if earlier != nil {
		return fmt.Errorf("start %s: process %d of an earlier run: %w", spec.Name, earlier.PID(), ErrRunning)
	}
	return nil
}

func launch(spec Spec, token string) (*exec.Cmd, error) {
	log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: open its log: %w", spec.Name, err)
	}
	defer func() { _ = log.Close() }() // the child has its own
	// No context of the caller's ends it: it outlives its caller.
	path, args, attributes := spec.Path, spec.Args, spec.Account.Attributes()
	if spec.Network != "" {
		// Root's nsenter becomes the program, as the account.
		path, args, attributes = "nsenter", append([]string{
			"--net=" + spec.Network, "--setuid", strconv.Itoa(spec.Account.UID), "--setgid", strconv.Itoa(spec.Account.GID), "--", spec.Path,
		}, spec.Args...), &syscall.SysProcAttr{}
	}
	child := exec.CommandContext(context.Background(), path, args...)
	// The token stands last: a program that writes its title over its arguments may reach into what follows them.
	child.Env = append(spec.Env[:len(spec.Env):len(spec.Env)], tokenVariable+"="+token)
	child.Dir = spec.Dir
	child.Stdout, child.Stderr = log, log
	child.SysProcAttr = attributes
	child.SysProcAttr.Setsid = true
	if err := child.Start(); err != nil {
		return nil, fmt.Errorf("start %s as the user %s: %w", spec.Name, spec.Account.Name, err)
	}
	return child, nil
}
