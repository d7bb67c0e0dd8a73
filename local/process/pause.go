package process

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// Pause holds the process and its descendants still, by SIGSTOP, until Resume: their sockets stay open, and nothing answers. What has
// lost its parent goes on. A paused process is to be resumed before it is ended.
func (p *Process) Pause() error {
	if err := p.tell(syscall.SIGSTOP, p.note.PID); err != nil { // first, so that it starts no more
		return err
	}
	for held := 0; ; {
		family, err := p.descendants(anyone)
		if err != nil {
			return err
		}
		if len(family) == held {
			return nil
		}
		if err := p.tell(syscall.SIGSTOP, family...); err != nil {
			return err
		}
		held = len(family)
	}
}

// Resume lets what Pause holds go on, the youngest first.
func (p *Process) Resume() error {
	family, err := p.descendants(anyone)
	if err != nil {
		return err
	}
	return errors.Join(p.tell(syscall.SIGCONT, family...), p.tell(syscall.SIGCONT, p.note.PID))
}

// tell sends a signal to processes of ours; some may have ended by themselves.
func (p *Process) tell(signal syscall.Signal, pids ...int) error {
	if !p.leads() {
		return nil // its number may be another's by now
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, signal); err != nil && !isGone(err) {
			return fmt.Errorf("send %s to %s (process %d): %w", signal, p.note.Name, pid, err)
		}
	}
	return nil
}

// anyone leaves no descendant out.
func anyone(int) bool { return true }

// descendants are the children, and theirs, without those that are not ours and without theirs. They are found by their parents: a server
// may write its status over its environment, and with that over the token.
func (p *Process) descendants(ours func(pid int) bool) ([]int, error) {
	parents, err := parents()
	if err != nil {
		return nil, err
	}
	var family []int
	for generation := []int{p.note.PID}; len(generation) > 0; {
		var next []int
		for _, parent := range generation {
			for _, pid := range parents[parent] {
				if ours(pid) {
					next = append(next, pid)
				}
			}
		}
		family, generation = append(family, next...), next
	}
	return family, nil
}

// parents are all processes by their parents' numbers.
func parents() (map[int][]int, error) {
	all, err := everyone()
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, pid := range all {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has ended
		}
		fields := behindName(string(stat))
		if len(fields) <= parentField {
			continue
		}
		if parent, err := strconv.Atoi(fields[parentField]); err == nil {
			children[parent] = append(children[parent], pid)
		}
	}
	return children, nil
}
