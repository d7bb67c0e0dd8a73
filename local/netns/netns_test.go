package netns_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cupline/cupline/local/netns"
)

// leave has the test program make a network, say so, and wait to be killed.
const leave = "CUPLINE_TEST_LEAVE_NETWORK"

func TestMain(m *testing.M) {
	if os.Getenv(leave) != "" {
		w, err := netns.Open(context.Background(), 2)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		left := exec.CommandContext(context.Background(), "nsenter", "--net="+w.Hosts()[0].Path, "sleep", "600")
		if err := left.Start(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(w.Hosts()[0].Path)
		select {}
	}
	flag.Parse()
	if testing.Short() {
		fmt.Println("ok: needs network namespaces, not run under -short")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// open makes a network, or returns nil where this machine has none: what is said of that is then all there is to test.
func open(t *testing.T, n int) *netns.Network {
	t.Helper()
	w, err := netns.Open(t.Context(), n)
	if errors.Is(err, netns.ErrUnavailable) {
		t.Logf("partitions are left out: %v", err)
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(context.Background()); err != nil {
			t.Error(err)
		}
		for _, h := range w.Hosts() {
			if _, err := os.Stat(h.Path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is left: %v", h.Path, err)
			}
		}
	})
	return w
}

// reaches tells whether a packet of one host comes to another.
func reaches(t *testing.T, w *netns.Network, from, to int) bool {
	t.Helper()
	const script = `exec 3<>/dev/udp/%s/9; for i in 1 2 3 4 5 6 7 8; do echo >&3; sleep 0.02; done`
	hosts := w.Hosts()
	// What arrived there, by that host's own count of packets for a port on which nobody listens.
	before := unheard(t, hosts[to].Path)
	sent := exec.CommandContext(t.Context(), "nsenter", "--net="+hosts[from].Path, "bash", "-c", fmt.Sprintf(script, hosts[to].Address))
	_ = sent.Run() // it may be told that nobody listens
	return unheard(t, hosts[to].Path) > before
}

func unheard(t *testing.T, path string) (n int) {
	t.Helper()
	printed, err := exec.CommandContext(t.Context(), "nsenter", "--net="+path, "cat", "/proc/net/snmp").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(printed)) {
		var in int
		if _, err := fmt.Sscanf(line, "Udp: %d %d", &in, &n); err == nil {
			return n
		}
	}
	t.Fatalf("no count of packets in %s", printed)
	return 0
}

func TestAWayIsCutInOneDirection(t *testing.T) {
	t.Parallel()
	w := open(t, 3)
	if w == nil {
		return
	}
	both := func(forth, back bool) {
		t.Helper()
		if got := reaches(t, w, 0, 1); got != forth {
			t.Errorf("0 reaches 1: %t", got)
		}
		if got := reaches(t, w, 1, 0); got != back {
			t.Errorf("1 reaches 0: %t", got)
		}
		if !reaches(t, w, 0, 2) || !reaches(t, w, 2, 1) {
			t.Error("host 2 is cut off")
		}
	}
	both(true, true)
	if err := w.Cut(t.Context(), 0, 1); err != nil {
		t.Fatal(err)
	}
	both(false, true)
	// The machine still reaches a host that is cut off: a port on which nobody listens is refused, not silent.
	dialer := net.Dialer{Timeout: 10 * time.Second}
	if conn, err := dialer.DialContext(t.Context(), "tcp", w.Hosts()[1].Address+":9"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("the machine does not reach host 1: %v %v", conn, err)
	}
	if err := w.Mend(t.Context(), 0, 1); err != nil {
		t.Fatal(err)
	}
	both(true, true)
}

func TestANetworkOfADeadProcessIsRemoved(t *testing.T) {
	t.Parallel()
	if open(t, 1) == nil {
		return
	}
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), leave+"=1")
	said, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 1<<10)
	n, err := said.Read(line)
	path := strings.TrimSpace(string(line[:n]))
	if err != nil || !filepath.IsAbs(path) {
		t.Fatalf("it said %q: %v", path, err)
	}
	if err := netns.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the network of a process that lives is gone: %v", err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it says that it was killed
	if err := netns.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left: %v", path, err)
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		if token := strings.Split(filepath.Base(path), "-")[2]; i.Name == "cup-"+token {
			t.Errorf("the interface %s is left", i.Name)
		}
	}
}
