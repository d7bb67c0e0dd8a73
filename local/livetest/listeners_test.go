package livetest

import (
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cupline/cupline/local/process"
)

// listeners are the TCP addresses that the processes of pid files listen on, read from /proc.
func listeners(t *testing.T, pidFiles ...string) []net.IP {
	t.Helper()
	inodes := map[string]bool{}
	for _, pidFile := range pidFiles {
		found, err := process.Find(pidFile)
		if err != nil || found == nil {
			t.Fatalf("%s: %v, %v", pidFile, found, err)
		}
		links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", found.PID()))
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range links {
			if target, err := os.Readlink(link); err == nil {
				inodes[strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]")] = true
			}
		}
	}
	var found []net.IP
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		content, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			const local, state, inode, listening = 1, 3, 9, "0A"
			fields := strings.Fields(line)
			if len(fields) > inode && fields[state] == listening && inodes[fields[inode]] {
				found = append(found, address(t, fields[local]))
			}
		}
	}
	return found
}

// address reads ADDRESS:PORT as the kernel prints it: hexadecimal, each four bytes in the machine's own order.
func address(t *testing.T, text string) net.IP {
	t.Helper()
	digits, _, _ := strings.Cut(text, ":")
	ip, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	for word := 0; word < len(ip); word += 4 {
		ip[word], ip[word+1], ip[word+2], ip[word+3] = ip[word+3], ip[word+2], ip[word+1], ip[word]
	}
	return ip
}

// wantLoopback fails if any of the processes listens beyond the machine, or fewer listeners than expected are there.
func wantLoopback(t *testing.T, atLeast int, pidFiles ...string) {
	t.Helper()
	found := listeners(t, pidFiles...)
	if len(found) < atLeast {
		t.Errorf("%d listeners %v, want at least %d", len(found), found, atLeast)
	}
	for _, ip := range found {
		if !ip.IsLoopback() {
			t.Errorf("a listener on %s", ip)
		}
	}
}
