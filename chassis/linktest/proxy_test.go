package linktest_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cupline/cupline/chassis/linktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shouter answers each line in capitals, and remembers what it was asked.
type shouter struct {
	listener net.Listener
	asked    chan string
}

func newShouter(t *testing.T) *shouter {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &shouter{listener: listener, asked: make(chan string, 10)}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer func() { _ = conn.Close() }()
				lines := bufio.NewScanner(conn)
				for lines.Scan() {
					s.asked <- lines.Text()
					if _, err := io.WriteString(conn, strings.ToUpper(lines.Text())+"\n"); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { _ = listener.Close(); work.Wait() })
	return s
}

type client struct {
	t     *testing.T
	conn  net.Conn
	lines *bufio.Reader
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t, conn, bufio.NewReader(conn)}
}

func (c *client) say(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
}

// hear returns the next line, or the error, within the time.
func (c *client) hear(within time.Duration) (string, error) {
	c.t.Helper()
	if err := c.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return "", err
	}
	line, err := c.lines.ReadString('\n')
	return strings.TrimSpace(line), err
}

func (c *client) expect(want string) {
	c.t.Helper()
	if got, err := c.hear(time.Minute); got != want || err != nil {
		c.t.Fatalf("heard %q, %v; want %q", got, err, want)
	}
}

func (c *client) expectCut() {
	c.t.Helper()
	if got, err := c.hear(time.Minute); err == nil || isTimeout(err) {
		c.t.Fatalf("heard %q, %v; want a cut", got, err)
	}
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}

func TestForwardsAndCuts(t *testing.T) {
	t.Parallel()
	p := linktest.New(t, newShouter(t).listener.Addr().String())
	one, two := dial(t, p.Addr()), dial(t, p.Addr())
	for _, c := range []*client{one, two} {
		c.say("hello")
		c.expect("HELLO")
	}
	p.Cut()
	one.expectCut()
	two.expectCut()
	three := dial(t, p.Addr())
	three.say("again")
	three.expect("AGAIN")
	if p.Dialled() != 3 {
		t.Fatalf("dialled %d times, want 3", p.Dialled())
	}
}

func TestRefusesUntilHealed(t *testing.T) {
	t.Parallel()
	p := linktest.New(t, newShouter(t).listener.Addr().String())
	before := dial(t, p.Addr())
	before.say("a")
	before.expect("A")
	p.Refuse()
	before.expectCut()
	dial(t, p.Addr()).expectCut()
	p.Heal()
	after := dial(t, p.Addr())
	after.say("b")
	after.expect("B")
}

func TestStallHoldsBackAndHealForwards(t *testing.T) {
	t.Parallel()
	p := linktest.New(t, newShouter(t).listener.Addr().String())
	c := dial(t, p.Addr())
	c.say("a")
	c.expect("A")
	p.Stall()
	seen := p.Seen([]byte("b"))
	c.say("b")
	<-seen
	if got, err := c.hear(50 * time.Millisecond); !isTimeout(err) {
		t.Fatalf("heard %q, %v through a stalled link", got, err)
	}
	p.Heal()
	c.expect("B")
}

func TestLoseAnswer(t *testing.T) {
	t.Parallel()
	s := newShouter(t)
	p := linktest.New(t, s.listener.Addr().String())
	lost := p.LoseAnswer([]byte("commit"))
	c := dial(t, p.Addr())
	c.say("begin")
	c.expect("BEGIN")
	c.say("commit")
	c.expectCut()
	<-lost
	if first, second := <-s.asked, <-s.asked; first != "begin" || second != "commit" {
		t.Fatalf("the server was asked %q and %q", first, second)
	}
	again := dial(t, p.Addr())
	again.say("commit")
	again.expect("COMMIT")
}

func TestInject(t *testing.T) {
	t.Parallel()
	p := linktest.New(t, newShouter(t).listener.Addr().String())
	c := dial(t, p.Addr())
	c.say("a")
	c.expect("A")
	p.Inject([]byte("surprise\n"))
	c.expect("surprise")
}
