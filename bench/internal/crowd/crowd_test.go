package crowd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"github.com/cupline/cupline/schema/push"
)

// asProgram has the test's own program be a crowd's.
const asProgram = "CUPLINE_TEST_CROWD"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		if err := Run(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Setenv(asProgram, "1") // of those that are started
	goleak.VerifyTestMain(m)
}

// pusher says welcome, sends each client two outcomes with one of them twice, and counts what is acked. It drops the first
// connections that it is told to.
type pusher struct {
	server *httptest.Server
	drop   atomic.Int64
	acked  atomic.Int64
	next   atomic.Int64
}

func newPusher(t *testing.T, drop int64) *pusher {
	p := &pusher{}
	p.drop.Store(drop)
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer token-") {
			http.Error(w, "who?", http.StatusUnauthorized)
			return
		}
		upgrader := websocket.Upgrader{Subprotocols: []string{push.Subprotocol}}
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		p.serve(conn)
	}))
	t.Cleanup(p.server.Close)
	return p
}

func (p *pusher) serve(conn *websocket.Conn) {
	if _, _, err := conn.ReadMessage(); err != nil || p.drop.Add(-1) >= 0 {
		return
	}
	n := p.next.Add(2)
	text := bytes.NewBufferString(`{"type":"welcome"}` + "\n")
	if n%4 == 0 { // what waits may come with it, or behind it
		_ = conn.WriteMessage(websocket.TextMessage, text.Bytes())
		text.Reset()
	}
	for seq, id := range []int64{n, n + 1, n} {
		fmt.Fprintf(text, `{"type":"outcome","seq":%d,"id":%d,"response":%s}`+"\n", seq+1, id, Response(id, time.Now().UnixNano()))
	}
	_ = conn.WriteMessage(websocket.TextMessage, text.Bytes())
	for last := uint64(0); ; {
		_, message, err := conn.ReadMessage()
		if err != nil {
			return
		}
		var f push.ClientFrame
		if json.Unmarshal(message, &f) == nil && f.Type == push.TypeAck {
			p.acked.Add(int64(f.Seq - last))
			last = f.Seq
		}
	}
}

func (p *pusher) address() string { return "ws" + strings.TrimPrefix(p.server.URL, "http") }

// A crowd comes online over several programs, again after lost connections, counts each outcome once, and acks.
func TestCrowd(t *testing.T) {
	t.Parallel()
	p := newPusher(t, 3)
	const clients = 20
	var tokens []string
	for i := range clients {
		tokens = append(tokens, fmt.Sprint("token-", i))
	}
	orders := Orders{Targets: []string{p.address()}, Dialling: 4, Window: 64, AckPause: time.Millisecond}
	g, err := Start(t.Context(), os.Args[0], orders, tokens, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	n, err := g.Wait(ctx, func(n News) bool { return n.Online == clients && n.Got == 2*clients && n.Doubled == clients })
	if err != nil {
		t.Fatal(err)
	}
	if n.Lost != 3 || n.Failure == "" || n.Wrong != 0 {
		t.Errorf("%+v", n)
	}
	report, err := g.Report(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if d := Percentile(report.Latencies, 99); report.Got != 2*clients || d <= 0 || d > time.Minute {
		t.Errorf("%+v: %s", report, d)
	}
	for p.acked.Load() != 3*clients {
		select {
		case <-ctx.Done():
			t.Fatalf("%d are acked", p.acked.Load())
		case <-time.After(time.Millisecond):
		}
	}
}

func TestOrdersThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "x\n", "{}\n", `{"targets":["ws://a"],"dialling":1}` + "\n"} {
		if err := Run(t.Context(), strings.NewReader(text), &bytes.Buffer{}); err == nil {
			t.Errorf("%q was taken for orders", text)
		}
	}
	g, err := Start(t.Context(), os.Args[0], Orders{Targets: []string{"ws://127.0.0.1:1"}}, nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := g.Wait(ctx, func(News) bool { return false }); err == nil || !strings.Contains(err.Error(), "orders need") {
		t.Errorf("a program that ended: %v", err)
	}
	if err := g.Stop(); err == nil {
		t.Error("a program that failed ended well")
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	latencies := map[int]int64{}
	for i := 1; i <= 1000; i++ {
		latencies[step(time.Duration(i)*time.Millisecond)]++
	}
	for p, want := range map[float64]time.Duration{50: 500 * time.Millisecond, 99: 990 * time.Millisecond} {
		if d := Percentile(latencies, p); d < want*97/100 || d > want*103/100 {
			t.Errorf("percentile %g: %s", p, d)
		}
	}
	if d := Percentile(nil, 50); d != 0 {
		t.Errorf("of none: %s", d)
	}
}

// The last line says the latest.
func TestNewsAreNotOvertaken(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	say := speaker(&out)
	var got atomic.Int64
	var speaking sync.WaitGroup
	for range 8 {
		speaking.Go(func() {
			for range 500 {
				say(func() (News, bool) { return News{Got: got.Add(1)}, true })
			}
		})
	}
	speaking.Wait()
	say(func() (News, bool) { return News{}, false })
	last := int64(0)
	for line := range bytes.Lines(out.Bytes()) {
		var n News
		if err := json.Unmarshal(line, &n); err != nil || n.Got != last+1 {
			t.Fatalf("%s after %d: %v", line, last, err)
		}
		last = n.Got
	}
	if last != 8*500 {
		t.Errorf("the last says %d", last)
	}
}
