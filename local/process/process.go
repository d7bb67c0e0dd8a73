package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"
)

const (
	// lookEvery is how often a process that is not our child is looked at; nothing tells us of its end.
	lookEvery = 20 * time.Millisecond
	// killLimit bounds the wait for processes that were sent SIGKILL.
	killLimit = time.Minute
)

// Process is a started program, whether this run started it or an earlier one.
type Process struct {
	note    note
	pidFile string
	// ended is closed once the exit status of a child was taken; nil for another run's process.
	ended chan struct{}
	exit  error
}

// Find returns the process that a pid file notes, or nil when it is not running and nothing that it started is. The
// error says that the file cannot be read or is not a pid file.
func Find(pidFile string) (*Process, error) {
	noted, err := readNote(pidFile)
	if err != nil || noted == nil {
		return nil, err
	}
	found := &Process{note: *noted, pidFile: pidFile}
	gone, err := found.gone()
	if err != nil || gone {
		return nil, err
	}
	return found, nil
}

// End stops what a pid file notes, as [Process.Stop] does with that signal, and deletes the file. It is not an error
// that nothing runs.
func End(ctx context.Context, pidFile string, interrupt syscall.Signal, grace time.Duration) error {
	found, err := Find(pidFile)
	if err != nil {
		return err
	}
	if found == nil {
		return removeFile(pidFile)
	}
	return found.Stop(ctx, interrupt, grace)
}

// PID is the process's number; 0 when an earlier run was killed before it could note it.
func (p *Process) PID() int {
	return p.note.PID
}

// Wait returns when the process has ended, with an error that tells how where that is known, or when ctx is done,
// with ctx's error.
func (p *Process) Wait(ctx context.Context) error {
	if err := p.await(ctx); err != nil {
		return err
	}
	if p.ended != nil && p.exit != nil {
		return fmt.Errorf("%s ended: %w", p.note.Name, p.exit)
	}
	return nil
}

// Stop asks the process to end by a signal, waits until grace is over or ctx is done, and then kills it together with
// everything that it started and left behind: with a ctx that is done already, nothing is waited for. It deletes the pid
// file. The error tells that something is still running.
func (p *Process) Stop(ctx context.Context, signal syscall.Signal, grace time.Duration) error {
	if signal == syscall.SIGKILL {
		return p.Kill() // which looks for what the leader has started while that is still there
	}
	if err := p.signal(signal); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	// Whatever came of the wait, killing what is left is the answer.
	_ = p.await(waiting)
	return p.Kill()
}

// Kill ends the process and everything that it started at once, with SIGKILL, and deletes the pid file. The error
// tells that something is still running after a minute.
func (p *Process) Kill() error {
	limit := time.Now().Add(killLimit)
	family := p.family()
	for {
		left, err := p.members()
		if err != nil {
			return err
		}
		for pid := range family {
			if family.has(pid) && !slices.Contains(left, pid) {
				left = append(left, pid)
			}
		}
		if len(left) == 0 {
			break
		}
		if time.Now().After(limit) {
			return fmt.Errorf("end %s: processes %v are still there %s after SIGKILL", p.note.Name, left, killLimit)
		}
		for _, pid := range left {
			p.killMember(pid, family)
		}
		pause(context.Background(), lookEvery)
	}
	if p.ended != nil {
		<-p.ended
	}
	return removeFile(p.pidFile)
}

// kin are processes by their numbers: when each of them started, in clock ticks.
type kin map[int]uint64

// has reports whether a process is one of them, and lives.
func (k kin) has(pid int) bool {
	start, alive, err := startTime(pid)
	known, listed := k[pid]
	return err == nil && alive && listed && start == known
}

// family are the descendants of a leader that lives, which is held still, so that it starts no more. A server's may have written their
// status over the token: once their leader is gone nothing tells that they are ours, and they may need a moment to notice and end. What
// has a token of another, a server that a program of ours has started, say, is left alone with its own.
func (p *Process) family() kin {
	found := kin{}
	if !p.leads() || p.tell(syscall.SIGSTOP, p.note.PID) != nil {
		return found
	}
	pids, err := p.descendants(func(pid int) bool { return !holdsAnother(pid, p.note.Token) })
	if err != nil || !p.leads() {
		return found
	}
	for _, pid := range pids {
		if start, alive, err := startTime(pid); err == nil && alive {
			found[pid] = start
		}
	}
	return found
}

// killMember kills one process if it is still ours: held first and looked at then, so that its pid stays its own.
func (p *Process) killMember(pid int, family kin) {
	held, err := os.FindProcess(pid)
	if err != nil {
		return
	}
	defer func() { _ = held.Release() }()
	if holdsToken(pid, p.note.Token) || pid == p.note.PID && p.leads() || family.has(pid) {
		// It may have ended by itself; what still lives is looked for again.
		_ = held.Signal(syscall.SIGKILL)
	}
}

// leads reports whether the noted leader itself lives.
func (p *Process) leads() bool {
	start, alive, err := startTime(p.note.PID)
	return err == nil && alive && start == p.note.Start
}

// members are the living leader and descendants.
func (p *Process) members() ([]int, error) {
	found, err := withToken(p.note.Token)
	if err != nil {
		return nil, err
	}
	if p.leads() && !slices.Contains(found, p.note.PID) {
		found = append(found, p.note.PID)
	}
	return found, nil
}

// gone reports whether the leader and all that it started have ended.
func (p *Process) gone() (bool, error) {
	if p.leads() {
		return false, nil
	}
	left, err := withToken(p.note.Token)
	return len(left) == 0, err
}

func (p *Process) signal(signal syscall.Signal) error {
	held, err := p.note.leader()
	if err != nil || held == nil {
		return err
	}
	defer func() { _ = held.Release() }()
	if err := held.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("ask %s (process %d) to end: %w", p.note.Name, p.note.PID, err)
	}
	return nil
}

// await returns when the leader has ended, or with ctx's error.
func (p *Process) await(ctx context.Context) error {
	if p.ended != nil {
		select {
		case <-p.ended:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for p.leads() {
		if !pause(ctx, lookEvery) {
			return ctx.Err()
		}
	}
	return nil
}

// pause waits for a moment; false when ctx ended first.
func pause(ctx context.Context, moment time.Duration) bool {
	timer := time.NewTimer(moment)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("delete the pid file: %w", err)
	}
	return nil
}

func isGone(err error) bool {
	return errors.Is(err, syscall.ESRCH)
}
