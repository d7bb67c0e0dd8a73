package integration

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/cupline/cupline/pusher/internal/app"
	"github.com/cupline/cupline/schema/push"
	"github.com/cupline/cupline/schema/topology"
)

// crowdTarget tells the test's own program that it is to be a crowd of clients.
const crowdTarget = "CUPLINE_CROWD_TARGET"

// crowd opens a session for each token that it reads, up to an empty line, a few at a time,
// says so, and holds them until its input ends. Pings are answered.
func crowd(target string, input io.Reader) error {
	lines := bufio.NewScanner(input)
	tokens := make(chan string)
	failed := make(chan error, 1)
	var dialling sync.WaitGroup
	for range 32 {
		dialling.Go(func() {
			for token := range tokens {
				if err := hold(target, token); err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			}
		})
	}
	for lines.Scan() && lines.Text() != "" {
		tokens <- lines.Text()
	}
	close(tokens)
	dialling.Wait()
	select {
	case err := <-failed:
		return err
	default:
	}
	fmt.Println("ready")
	for lines.Scan() {
	}
	return lines.Err()
}

// hold opens a session that lasts as long as the process.
func hold(target, token string) error {
	dialer := websocket.Dialer{Subprotocols: []string{push.Subprotocol}}
	ws, _, err := dialer.Dial(target, bearer(token))
	if err != nil {
		return err
	}
	if err := ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"hello"}`)); err != nil {
		return err
	}
	if _, _, err := ws.ReadMessage(); err != nil {
		return err
	}
	go func() {
		for {
			if _, _, err := ws.ReadMessage(); err != nil {
				return
			}
			_ = ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"pong"}`))
		}
	}()
	return nil
}

// BenchmarkIdleClients measures the resident memory of the whole pusher for each idle
// client, with a binding of its own, as it is and after a garbage collection. The clients
// are another process.
func BenchmarkIdleClients(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(50)) // as the program does
	bed := newBed(b)
	const most = 5000
	tokens := make([]string, most)
	for i := range tokens {
		tokens[i] = bed.key(b, fmt.Sprint("client-", i))
	}
	for _, n := range []int{1000, most} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			p := bed.start(b, fmt.Sprint("slot-", n), quiet, func(s *app.Settings) { s.Reconnect = 0 })
			for b.Loop() {
				asItIs, collected := bed.idle(b, p, tokens[:n])
				b.ReportMetric(asItIs, "RSS-bytes/client")
				b.ReportMetric(collected, "collected-RSS-bytes/client")
			}
		})
	}
}

func (bed *bed) idle(b *testing.B, p *pusher, tokens []string) (asItIs, collected float64) {
	b.Helper()
	collect()
	before := resident(b)
	clients := exec.CommandContext(b.Context(), os.Args[0])
	clients.Env = append(os.Environ(), crowdTarget+"=ws://"+p.Addr()+"/v1/connect")
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
	began := time.Now()
	if _, err := io.WriteString(input, strings.Join(tokens, "\n")+"\n\n"); err != nil {
		b.Fatal(err)
	}
	if line, err := bufio.NewReader(output).ReadString('\n'); err != nil || line != "ready\n" {
		b.Fatalf("clients said %q, %v", line, err)
	}
	b.ReportMetric(float64(len(tokens))/time.Since(began).Seconds(), "connects/s")
	if n := p.metric(b, "cupline_push_sessions"); n != float64(len(tokens)) {
		b.Fatalf("%v sessions", n)
	}
	if n := len(bed.broker.Bindings(b, topology.ClientsExchange)); n != len(tokens) {
		b.Fatalf("%d bindings", n)
	}
	asItIs = (resident(b) - before) / float64(len(tokens))
	collect()
	collected = (resident(b) - before) / float64(len(tokens))
	if err := errors.Join(input.Close(), clients.Wait()); err != nil {
		b.Fatal(err)
	}
	return asItIs, collected
}

// collect frees what is garbage; twice, for the first round shrinks stacks, and the second
// frees what finalizers held.
func collect() {
	runtime.GC()
	debug.FreeOSMemory()
}

// resident is this process's resident memory in bytes.
func resident(b *testing.B) float64 {
	b.Helper()
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
