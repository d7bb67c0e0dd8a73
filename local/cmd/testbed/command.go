package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/cupline/cupline/local/place"
)

// temporary is how the folders of runs are called, below the base folder.
const temporary = "test-"

// runCommand runs a command with a broker and a database of its own and returns its exit code.
func runCommand(options options, arguments []string) int {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	bed, err := setUp(options, signals)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testbed:", err)
		return exitFailed
	}
	code, err := execute(arguments, bed.exports(), signals)
	if ending := bed.tearDown(options.keep); ending != nil {
		err = errors.Join(err, ending)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "testbed:", err)
		return max(code, exitFailed)
	}
	return code
}

// bed is a pair in a temporary folder of this run.
type bed struct {
	pair
	folder string
	lock   *place.Lock
}

// setUp installs what is missing, clears away what dead runs left, and starts a pair. A signal ends it.
func setUp(options options, signals <-chan os.Signal) (bed, error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	done, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case got := <-signals:
			cancel(fmt.Errorf("ended by the signal %s", got))
		case <-done:
		}
	}()
	defer func() {
		close(done)
		<-watched
		cancel(nil)
	}()
	if err := ensure(ctx, options.install); err != nil {
		return bed{}, err
	}
	clearDead(ctx, options.base)
	fresh, err := claim(options.base)
	if err != nil {
		return bed{}, err
	}
	if fresh.pair, err = startPair(ctx, fresh.folder); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause // everything else follows from it
		}
		return bed{}, errors.Join(err, fresh.tearDown(false))
	}
	return fresh, nil
}

// claim makes this run's folder and locks it, so that others see that the run is alive. Another run may take a folder
// that is not locked yet for a dead run's, and delete it: then it is made again.
func claim(base string) (bed, error) {
	folder := filepath.Join(base, fmt.Sprintf("%s%d", temporary, os.Getpid()))
	var last error
	for range 5 {
		if err := place.MakeOpen(folder); err != nil {
			return bed{}, fmt.Errorf("make the run's folder: %w", err)
		}
		lock, err := place.Take(folder)
		if err == nil {
			return bed{folder: folder, lock: lock}, nil
		}
		last = err
	}
	return bed{}, last
}

// tearDown ends the pair and deletes the run's folder, or leaves it as it is, stopped.
func (b bed) tearDown(keep bool) error {
	if keep {
		fmt.Fprintln(os.Stderr, "testbed: kept", b.folder)
		return errors.Join(b.stop(), b.lock.Release())
	}
	return errors.Join(b.kill(), discard(b.folder), b.lock.Release())
}

// clearDead deletes the folders of runs that were killed, and what they left running. What it cannot delete is said
// and left to the next run.
func clearDead(ctx context.Context, base string) {
	folders, err := filepath.Glob(filepath.Join(base, temporary+"*"))
	if err != nil {
		return
	}
	for _, folder := range folders {
		if ctx.Err() != nil {
			return
		}
		lock, err := place.Take(folder)
		if errors.Is(err, place.ErrLocked) {
			continue
		}
		if err == nil {
			fmt.Fprintln(os.Stderr, "testbed: clearing away what a killed run left in", folder)
			err = errors.Join(discard(folder), lock.Release())
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "testbed:", err)
		}
	}
}

// execute runs the command with the pair's exports, passes signals on to it, and returns its exit code: 128 and the
// signal's number if one ended it, as shells have it.
func execute(arguments, exports []string, signals <-chan os.Signal) (int, error) {
	// No context ends it: signals are passed on, and what it does with them is its own affair.
	command := exec.CommandContext(context.Background(), arguments[0], arguments[1:]...)
	command.Env = append(os.Environ(), exports...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	interactive := hasTerminal()
	// Without a terminal the command leads a group, so that signals reach all of it. With one it stays in ours: the
	// terminal interrupts all of that by itself, and only the group in the foreground may read from it.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: !interactive}
	if err := command.Start(); err != nil {
		return exitFailed, fmt.Errorf("run the command: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	for {
		select {
		case err := <-ended:
			return exitCode(command, err)
		case got := <-signals:
			pass(command.Process.Pid, got.(syscall.Signal), interactive)
		}
	}
}

func exitCode(command *exec.Cmd, err error) (int, error) {
	status, known := command.ProcessState.Sys().(syscall.WaitStatus)
	if known && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	if code := command.ProcessState.ExitCode(); code >= 0 {
		return code, nil
	}
	return exitFailed, fmt.Errorf("run the command: %w", err)
}

// pass sends a signal on; one that the terminal has sent to the command already is not sent twice.
func pass(pid int, signal syscall.Signal, interactive bool) {
	target := -pid
	if interactive {
		target = pid
		if signal == syscall.SIGINT || signal == syscall.SIGHUP {
			return
		}
	}
	// It may have ended meanwhile, which is what the signal was for.
	_ = syscall.Kill(target, signal)
}

// hasTerminal reports whether this process has a controlling terminal.
func hasTerminal() bool {
	terminal, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	_ = terminal.Close()
	return true
}
