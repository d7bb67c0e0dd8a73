package socket

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/cupline/cupline/schema/push"
)

// What tells the test's own program that it is to be a crowd of clients.
const (
	crowdTarget = "CUPLINE_CROWD_TARGET"
	crowdSize   = "CUPLINE_CROWD_SIZE"
)

// crowd opens sessions, says so, and holds them until its input ends.
func crowd(target, size string) error {
	n, err := strconv.Atoi(size)
	if err != nil {
		return err
	}
	dialer := websocket.Dialer{Subprotocols: []string{push.Subprotocol}}
	conns := make([]*websocket.Conn, 0, n)
	for range n {
		ws, _, err := dialer.Dial(target, http.Header{"Authorization": {"Bearer good"}})
		if err != nil {
			return err
		}
		if err := ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"hello"}`)); err != nil {
			return err
		}
		if _, _, err := ws.ReadMessage(); err != nil {
			return err
		}
		conns = append(conns, ws)
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	for _, ws := range conns {
		_ = ws.Close()
	}
	return err
}

// BenchmarkIdleConnections measures resident memory for each idle connection, with the
// clients in a process of their own.
func BenchmarkIdleConnections(b *testing.B) {
	for _, n := range []int{1000, 5000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(idle(b, n), "RSS-bytes/conn")
			}
		})
	}
}

func idle(b *testing.B, n int) float64 {
	b.Helper()
	s := serve(b, nil)
	before := resident(b)
	clients := exec.CommandContext(b.Context(), os.Args[0])
	clients.Env = append(os.Environ(), crowdTarget+"=ws://"+s.Addr()+Path, crowdSize+"="+strconv.Itoa(n))
	clients.Stderr = os.Stderr
	input, err := clients.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	output, err := clients.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := clients.Start(); err != nil {
		b.Fatal(err)
	}
	if line, err := bufio.NewReader(output).ReadString('\n'); err != nil || line != "ready\n" {
		b.Fatalf("clients said %q, %v", line, err)
	}
	each := (resident(b) - before) / float64(n)
	if err := input.Close(); err != nil {
		b.Fatal(err)
	}
	if err := clients.Wait(); err != nil {
		b.Fatal(err)
	}
	for range n {
		<-s.left
		<-s.joined
	}
	return each
}

// resident is this process's resident memory, with no garbage in it.
func resident(b *testing.B) float64 {
	b.Helper()
	runtime.GC() // twice: the first shrinks stacks, the second frees what finalizers held
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.SplitSeq(string(status), "\n") {
		if rest, found := strings.CutPrefix(line, "VmRSS:"); found {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib * 1024
		}
	}
	b.Fatal("no VmRSS")
	return 0
}
