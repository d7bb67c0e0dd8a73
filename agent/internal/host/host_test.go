package host_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/cupline/cupline/agent/internal/host"
	"github.com/cupline/cupline/agent/internal/rpc"
)

func ask[T any](t *testing.T, m *host.Machine, method, params string) (T, error) {
	t.Helper()
	table := rpc.Table{}
	m.Add(table)
	c := rpc.Call{ID: []byte("1"), Method: method}
	if params != "" {
		c.Params = []byte(params)
	}
	result, err := table[method](context.Background(), c)
	var answer T
	if err == nil {
		encoded, _ := json.Marshal(result)
		if err := json.Unmarshal(encoded, &answer); err != nil {
			t.Fatal(err)
		}
	}
	return answer, err
}

// The kernel changes the averages every five seconds, so one of three readings is the same.
func TestLoadIsTheMachinesOwn(t *testing.T) {
	t.Parallel()
	m := host.NewMachine(os.DirFS("/"))
	var wanted, got host.Load
	for range 3 {
		content, err := os.ReadFile("/proc/loadavg")
		if err != nil {
			t.Fatal(err)
		}
		for i, into := range []*float64{&wanted.Load1, &wanted.Load5, &wanted.Load15} {
			if *into, err = strconv.ParseFloat(strings.Fields(string(content))[i], 64); err != nil {
				t.Fatal(err)
			}
		}
		if got, err = ask[host.Load](t, m, "host.load", ""); err != nil {
			t.Fatal(err)
		}
		if got == wanted {
			return
		}
	}
	t.Errorf("host.load says %+v, and /proc/loadavg %+v", got, wanted)
}

func TestInfoReadsTheMachine(t *testing.T) {
	t.Parallel()
	root := fstest.MapFS{
		"proc/sys/kernel/osrelease": {Data: []byte("6.1.0-test\n")},
		"proc/meminfo":              {Data: []byte("MemTotal:       16 kB\nMemFree:  1 kB\nMemAvailable:   8 kB\nHugePages_Total:  0\n")},
		"proc/uptime":               {Data: []byte("12.50 99.00\n")},
		"etc/os-release":            {Data: []byte("NAME=X\nPRETTY_NAME=\"Test OS 1\"\n")},
	}
	got, err := ask[host.Info](t, host.NewMachine(root), "host.info", "")
	if err != nil {
		t.Fatal(err)
	}
	if got.Kernel != "6.1.0-test" || got.OS != "Test OS 1" || got.MemoryBytes != 16384 || got.AvailableBytes != 8192 ||
		got.UptimeSeconds != 12.5 || got.CPUs < 1 || got.Hostname == "" {
		t.Errorf("info is %+v", got)
	}
	if got, err := ask[host.Info](t, host.NewMachine(os.DirFS("/")), "host.info", ""); err != nil || got.MemoryBytes == 0 {
		t.Errorf("this machine says %+v, %v", got, err)
	}
	if _, err := ask[host.Info](t, host.NewMachine(fstest.MapFS{}), "host.info", ""); err == nil {
		t.Error("a machine without /proc was read")
	}
	if _, err := ask[host.Load](t, host.NewMachine(fstest.MapFS{"proc/loadavg": {Data: []byte("high\n")}}), "host.load", ""); err == nil {
		t.Error("a load that is no number was read")
	}
}

func TestDiskIsWhatTheSystemSays(t *testing.T) {
	t.Parallel()
	m := host.NewMachine(os.DirFS("/"))
	var want syscall.Statfs_t
	folder := t.TempDir()
	if err := syscall.Statfs(folder, &want); err != nil {
		t.Fatal(err)
	}
	got, err := ask[host.Disk](t, m, "host.disk", `{"path":"`+folder+`"}`)
	if err != nil || got.TotalBytes != want.Blocks*uint64(want.Bsize) || got.Path != folder || got.UsedPercent < 0 || got.UsedPercent > 100 {
		t.Errorf("disk is %+v, %v", got, err)
	}
	if got, err := ask[host.Disk](t, m, "host.disk", ""); err != nil || got.Path != "/" {
		t.Errorf("without params disk is %+v, %v", got, err)
	}
	for _, params := range []string{`{"path":"relative"}`, `{"path":"/no/such/folder"}`, `{"paths":"/"}`, `["/"]`} {
		_, err := ask[host.Disk](t, m, "host.disk", params)
		var refused *rpc.Error
		if !errors.As(err, &refused) || refused.Code != rpc.InvalidParams {
			t.Errorf("%s: %v", params, err)
		}
	}
}
