// Package host reads what a Linux machine says of itself in /proc and /etc.
package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cupline/cupline/agent/internal/rpc"
)

// Machine is where the readings come from.
type Machine struct {
	root fs.FS
	// probes holds one token for each look at a file system that has not come back.
	probes chan struct{}
}

// NewMachine reads proc and etc below root: os.DirFS("/").
func NewMachine(root fs.FS) *Machine {
	return &Machine{root: root, probes: make(chan struct{}, maxProbes)}
}

// Add puts the machine's methods into the table.
func (m *Machine) Add(t rpc.Table) {
	t["host.info"] = m.info
	t["host.load"] = m.load
	t["host.disk"] = m.disk
}

// Info is the answer of host.info.
type Info struct {
	Hostname string `json:"hostname"`
	// OS is the distribution's own name; empty where it has none.
	OS           string `json:"os"`
	Kernel       string `json:"kernel"`
	Architecture string `json:"architecture"`
	CPUs         int    `json:"cpus"`
	MemoryBytes  int64  `json:"memory_bytes"`
	// AvailableBytes is the memory that programs could still get.
	AvailableBytes int64   `json:"memory_available_bytes"`
	UptimeSeconds  float64 `json:"uptime_seconds"`
}

func (m *Machine) info(context.Context, rpc.Call) (any, error) {
	info := Info{Architecture: runtime.GOARCH, CPUs: runtime.NumCPU(), OS: m.distribution()}
	var problems [4]error
	info.Hostname, problems[0] = os.Hostname()
	info.Kernel, problems[1] = m.line("proc/sys/kernel/osrelease")
	info.MemoryBytes, info.AvailableBytes, problems[2] = m.memory()
	info.UptimeSeconds, problems[3] = m.uptime()
	return info, errors.Join(problems[:]...)
}

// distribution is optional: a container may have no such file.
func (m *Machine) distribution() string {
	content, err := fs.ReadFile(m.root, "etc/os-release")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(content)) {
		if name, found := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); found {
			return strings.Trim(name, `"'`)
		}
	}
	return ""
}

func (m *Machine) line(name string) (string, error) {
	content, err := fs.ReadFile(m.root, name)
	return strings.TrimSpace(string(content)), err
}

func (m *Machine) uptime() (float64, error) {
	text, err := m.line("proc/uptime")
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(text, " ")
	return strconv.ParseFloat(first, 64)
}

// memory reads proc/meminfo, which counts in kibibytes (proc_meminfo(5)).
func (m *Machine) memory() (total, available int64, err error) {
	content, err := fs.ReadFile(m.root, "proc/meminfo")
	for line := range strings.Lines(string(content)) {
		name, value, _ := strings.Cut(line, ":")
		kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
		switch {
		case err != nil: // a line that counts something else
		case name == "MemTotal":
			total = kib * 1024
		case name == "MemAvailable":
			available = kib * 1024
		}
	}
	return total, available, err
}

// Load is the answer of host.load: averages over 1, 5 and 15 minutes.
type Load struct {
	Load1  float64 `json:"load1"`
	Load5  float64 `json:"load5"`
	Load15 float64 `json:"load15"`
}

// load reads proc/loadavg (proc_loadavg(5)).
func (m *Machine) load(context.Context, rpc.Call) (any, error) {
	text, err := m.line("proc/loadavg")
	if err != nil {
		return nil, err
	}
	var load Load
	if _, err := fmt.Sscan(text, &load.Load1, &load.Load5, &load.Load15); err != nil {
		return nil, fmt.Errorf("read /proc/loadavg: %w", err)
	}
	return load, nil
}

// Disk is the answer of host.disk: the file system that holds a path.
type Disk struct {
	Path       string `json:"path"`
	TotalBytes uint64 `json:"total_bytes"`
	FreeBytes  uint64 `json:"free_bytes"`
	// AvailableBytes is what users other than root can still use.
	AvailableBytes uint64  `json:"available_bytes"`
	UsedPercent    float64 `json:"used_percent"`
}

// statfsLimit bounds the wait for a file system: one on a dead network answers never.
// maxProbes is how many of those may be waited for at a time.
const (
	statfsLimit = 5 * time.Second
	maxProbes   = 4
)

func (m *Machine) disk(ctx context.Context, c rpc.Call) (any, error) {
	params := struct {
		Path string `json:"path"`
	}{Path: "/"}
	if err := c.Bind(&params); err != nil {
		return nil, err
	}
	if !filepath.IsAbs(params.Path) {
		return nil, rpc.BadParams("path must begin with /")
	}
	type answer struct {
		disk Disk
		err  error
	}
	ctx, cancel := context.WithTimeout(ctx, statfsLimit)
	defer cancel()
	select {
	case m.probes <- struct{}{}:
	case <-ctx.Done():
		return nil, errors.New("other file systems were asked and do not answer")
	}
	// A goroutine that nobody waits for, as the kernel may never return; probes bounds them.
	got := make(chan answer, 1)
	go func() {
		defer func() { <-m.probes }()
		disk, err := statfs(params.Path)
		got <- answer{disk, err}
	}()
	select {
	case a := <-got:
		return a.disk, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("the file system of %s does not answer: %w", params.Path, ctx.Err())
	}
}

func statfs(path string) (Disk, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return Disk{}, rpc.BadParams("%s: %v", path, err)
	}
	size := uint64(s.Bsize)
	d := Disk{Path: path, TotalBytes: s.Blocks * size, FreeBytes: s.Bfree * size, AvailableBytes: s.Bavail * size}
	if d.TotalBytes > 0 {
		d.UsedPercent = 100 * float64(d.TotalBytes-d.FreeBytes) / float64(d.TotalBytes)
	}
	return d, nil
}
