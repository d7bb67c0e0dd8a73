package usage

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Resident is a process's resident set in bytes, as it is: nothing is collected before.
func Resident(pid int) (int64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, fmt.Errorf("read a process's memory: %w", err)
	}
	for line := range strings.Lines(string(content)) {
		rest, found := strings.CutPrefix(line, "Rss:")
		if !found {
			continue
		}
		kilobytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read a line of smaps_rollup: %w", err)
		}
		return kilobytes << 10, nil
	}
	return 0, fmt.Errorf("read a process's memory: process %d has no Rss", pid)
}
