// Package usage reads from /proc what processes cost: CPU time and memory, of a process with everything that it
// started, and of the whole machine.
package usage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of times in /proc: 1/100 s wherever Linux runs today (USER_HZ, proc(5)).
const tick = time.Second / 100

// Tree is a process and its descendants.
type Tree struct {
	// Name is what the report calls it.
	Name string
	// PID is the process that the others descend from.
	PID int
	// Alone leaves the descendants out, for a process that started others which are counted by themselves.
	Alone bool
}

// CPU is the time that the tree has spent so far, in user and system mode together, that of ended children whose exit
// status was taken included. Its resolution is 10 ms for each process. A root that has ended is an error.
func (t Tree) CPU() (time.Duration, error) {
	members, err := t.members()
	if err != nil {
		return 0, err
	}
	var total time.Duration
	for _, member := range members {
		total += member.cpu
	}
	return total, nil
}

// Memory is what the tree occupies: the sum of the proportional set sizes, in which a page that several processes share
// counts once. Bytes.
func (t Tree) Memory() (int64, error) {
	members, err := t.members()
	if err != nil {
		return 0, err
	}
	var total int64
	for _, member := range members {
		size, err := proportional(member.pid)
		if err != nil {
			return 0, fmt.Errorf("read the memory of %s: %w", t.Name, err)
		}
		total += size
	}
	return total, nil
}

// members are the root and all that descends from it. Processes may come and go while they are read.
func (t Tree) members() ([]stat, error) {
	root, err := readStat(t.PID)
	if err != nil {
		return nil, fmt.Errorf("read the CPU time of %s: %w", t.Name, err)
	}
	if t.Alone {
		root.cpu -= root.reaped
		return []stat{root}, nil
	}
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	children := map[int][]stat{}
	for _, folder := range folders {
		pid, err := strconv.Atoi(filepath.Base(folder))
		if err != nil {
			continue
		}
		if s, err := readStat(pid); err == nil {
			children[s.parent] = append(children[s.parent], s)
		}
	}
	members := []stat{root}
	for i := 0; i < len(members); i++ {
		members = append(members, children[members[i].pid]...)
	}
	return members, nil
}

// stat is what counts of a line of /proc/PID/stat.
type stat struct {
	pid, parent int
	// cpu is the process's own time and that of its ended children, which is reaped alone.
	cpu, reaped time.Duration
}

func readStat(pid int) (stat, error) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(pid, string(line))
}

// parseStat reads the line; the second field, the program's name, may hold spaces and parentheses.
func parseStat(pid int, line string) (stat, error) {
	// Counted behind the name: state 0, ppid 1, ..., utime 11, stime 12, cutime 13, cstime 14.
	const parentField, firstTime, firstReaped, lastTime = 1, 11, 13, 14
	fields := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
	if len(fields) <= lastTime {
		return stat{}, fmt.Errorf("read the stat of process %d: only %d fields behind the name", pid, len(fields))
	}
	parent, err := strconv.Atoi(fields[parentField])
	if err != nil {
		return stat{}, fmt.Errorf("read the parent of process %d: %w", pid, err)
	}
	s := stat{pid: pid, parent: parent}
	for i := firstTime; i <= lastTime; i++ {
		ticks, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return stat{}, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
		}
		s.cpu += time.Duration(ticks) * tick
		if i >= firstReaped {
			s.reaped += time.Duration(ticks) * tick
		}
	}
	return s, nil
}

// proportional is a process's PSS in bytes; 0 for one that has just ended.
func proportional(pid int) (int64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(content)) {
		rest, found := strings.CutPrefix(line, "Pss:")
		if !found {
			continue
		}
		kilobytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read a line of smaps_rollup: %w", err)
		}
		return kilobytes << 10, nil
	}
	return 0, nil
}
