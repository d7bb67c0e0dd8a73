package usage

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Busy is the CPU time that the whole machine has spent working so far, all cores together, and that its host took
// from it (steal).
func Busy() (busy, stolen time.Duration, err error) {
	content, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, fmt.Errorf("read the machine's CPU time: %w", err)
	}
	first, _, _ := strings.Cut(string(content), "\n")
	return parseBusy(first)
}

// parseBusy reads "cpu user nice system idle iowait irq softirq steal guest guest_nice"; guests are counted in user.
func parseBusy(line string) (busy, stolen time.Duration, err error) {
	const idle, iowait, steal = 3, 4, 7
	fields := strings.Fields(line)
	if len(fields) <= steal+1 || fields[0] != "cpu" {
		return 0, 0, fmt.Errorf("read the machine's CPU time: %q", line)
	}
	for i, field := range fields[1 : steal+2] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("read the machine's CPU time: %w", err)
		}
		switch i {
		case idle, iowait:
		case steal:
			stolen = time.Duration(n) * tick
		default:
			busy += time.Duration(n) * tick
		}
	}
	return busy, stolen, nil
}

// Machine tells where a measurement was taken.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory int64  `json:"memory_bytes"`
	Kernel string `json:"kernel"`
}

// Describe reads what this machine is; what cannot be read stays empty.
func Describe() Machine {
	return Machine{
		CPU: field("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(),
		Memory: kilobytes(field("/proc/meminfo", "MemTotal")), Kernel: word("/proc/version", 2),
	}
}

// field is the first "name: value" of a file.
func field(path, name string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(content)) {
		key, value, found := strings.Cut(line, ":")
		if found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func kilobytes(value string) int64 {
	n, err := strconv.ParseInt(strings.TrimSuffix(value, " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

func word(path string, n int) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	words := strings.Fields(string(content))
	if len(words) <= n {
		return ""
	}
	return words[n]
}
