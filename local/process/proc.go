package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// tokenVariable marks a process and, as environments are inherited, everything that it starts.
const tokenVariable = "CUPLINE_PROCESS"

// startTime is when a process started, in clock ticks since the machine did: together with the pid it names a process.
// alive is false for one that is gone or only waits for its parent to take its exit status.
func startTime(pid int) (ticks uint64, alive bool, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || isGone(err) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("look at process %d: %w", pid, err)
	}
	return parseStat(string(stat))
}

// Fields of /proc/PID/stat, counted behind the name (proc(5) has them from 3 on).
const stateField, parentField, startField = 0, 1, 19

// behindName are the fields of a line of /proc/PID/stat behind the program's name, which is the second one and may hold spaces and
// parentheses.
func behindName(stat string) []string {
	return strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
}

// parseStat reads a line of /proc/PID/stat.
func parseStat(stat string) (ticks uint64, alive bool, err error) {
	fields := behindName(stat)
	if len(fields) <= startField {
		return 0, false, fmt.Errorf("read a process's stat: only %d fields behind the name", len(fields))
	}
	ticks, err = strconv.ParseUint(fields[startField], 10, 64)
	if err != nil {
		return 0, false, fmt.Errorf("read a process's start time: %w", err)
	}
	state := fields[stateField]
	return ticks, state != "Z" && state != "X", nil
}

// withToken lists the living processes whose environment holds the token. Those that may not be looked at are not
// ours: root sees all, and anyone else's children run as that user.
func withToken(token string) ([]int, error) {
	all, err := everyone()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(pid int) bool { return !holdsToken(pid, token) }), nil
}

// everyone is all processes; some may have ended by the time that they are looked at.
func everyone() ([]int, error) {
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for _, folder := range folders {
		if pid, err := strconv.Atoi(filepath.Base(folder)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// holdsToken reports whether a living process has the token. A dead one's environment reads as empty.
func holdsToken(pid int, token string) bool {
	return token != "" && slices.Contains(tokensOf(pid), token)
}

// holdsAnother reports whether a living process has the token of another one that was started here.
func holdsAnother(pid int, token string) bool {
	return slices.ContainsFunc(tokensOf(pid), func(held string) bool { return held != token })
}

// tokensOf are the tokens in a process's environment: one, where it is whole.
func tokensOf(pid int) (tokens []string) {
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return nil
	}
	for entry := range bytes.SplitSeq(environment, []byte{0}) {
		if token, found := bytes.CutPrefix(entry, []byte(tokenVariable+"=")); found {
			tokens = append(tokens, string(token))
		}
	}
	return tokens
}
