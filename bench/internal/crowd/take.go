package crowd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/gorilla/websocket"

	"github.com/cupline/cupline/schema/push"
)

// frame is what a pusher sends, as far as it is looked at. The responses are the bench's own: they say when they were made.
type frame struct {
	Type     string          `json:"type"`
	Seq      uint64          `json:"seq"`
	ID       json.RawMessage `json:"id"`
	Response struct {
		ID     json.RawMessage `json:"id"`
		Result struct {
			At int64 `json:"at"`
		} `json:"result"`
	} `json:"response"`
}

// Response is the body of the nth outcome that a bench makes itself, at a time in nanoseconds since 1970.
func Response(n, at int64) []byte {
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"result":{"at":%d,"load":[0.12,0.34,0.56]}}`, n, at)
}

// take reads a message, in which several frames may be joined.
func (c *client) take(message []byte) error {
	now := time.Now()
	for line := range bytes.SplitSeq(message, []byte{'\n'}) {
		if len(line) == 0 {
			continue
		}
		var f frame
		if err := json.Unmarshal(line, &f); err != nil {
			return fmt.Errorf("read a frame %.200q: %w", line, err)
		}
		switch f.Type {
		case push.TypeOutcome:
			c.mu.Lock()
			c.last = f.Seq
			c.unacked++
			enlist := !c.waiting
			c.waiting = true
			c.mu.Unlock()
			c.all.got(c, f, now, enlist)
		case push.TypePing:
			if err := c.write(push.ClientFrame{Type: push.TypePong}); err != nil {
				return err
			}
		}
	}
	if c.acksNow() {
		c.ack()
	}
	return nil
}

// acksNow tells whether a part of the window is used up that clients do not let lie until their pause is over.
func (c *client) acksNow() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.slow && ackPart*c.unacked >= c.all.orders.Window
}

func (c *client) write(f push.ClientFrame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil {
		return err
	}
	return c.conn.WriteMessage(websocket.TextMessage, f.Line())
}

// ack acks all that has come, if anything has: acks that settle nothing count against a socket's rate.
func (c *client) ack() {
	c.mu.Lock()
	last, some := c.last, c.unacked > 0
	c.waiting, c.unacked = false, 0
	c.mu.Unlock()
	if !some {
		return
	}
	_ = c.write(push.ClientFrame{Type: push.TypeAck, Seq: last}) // the reader notices a connection that is lost
}

// got notes an outcome, and that its client has something to ack.
func (all *clients) got(c *client, f frame, now time.Time, enlist bool) {
	id, err := strconv.ParseInt(string(f.ID), 10, 64)
	all.mu.Lock()
	defer all.mu.Unlock()
	all.changed = true
	if enlist {
		pause := all.orders.AckPause
		if c.slow {
			pause = all.orders.SlowPause
		}
		all.due[pause] = append(all.due[pause], c)
	}
	if err != nil || !bytes.Equal(f.ID, f.Response.ID) {
		all.news.Wrong++
		return
	}
	if id < all.orders.First {
		all.news.Older++
		return
	}
	if _, again := all.seen[id]; again {
		// What a client leaves without an ack for 5 s may come to it again: that is the contract, and what slow ones do.
		if !c.slow {
			all.news.Doubled++
		}
		return
	}
	all.seen[id] = struct{}{}
	all.news.Got++
	if !c.slow && f.Response.Result.At > 0 {
		all.news.Latencies[step(now.Sub(time.Unix(0, f.Response.Result.At)))]++
	}
}

// ackers are who has something to ack after a pause.
func (all *clients) ackers(pause time.Duration) []*client {
	all.mu.Lock()
	defer all.mu.Unlock()
	who := all.due[pause]
	all.due[pause] = nil
	return who
}

func (all *clients) change(f func(*News)) {
	all.mu.Lock()
	defer all.mu.Unlock()
	f(&all.news)
	all.changed = true
}

func (all *clients) lost(err error) {
	all.change(func(n *News) {
		n.Lost++
		if n.Failure == "" && err != nil {
			n.Failure = err.Error()
		}
	})
}

// changes are the news without latencies, if there are any.
func (all *clients) changes() (News, bool) {
	all.mu.Lock()
	defer all.mu.Unlock()
	n, changed := all.news, all.changed
	n.Latencies, all.changed = nil, false
	return n, changed
}

// report is everything, and begins latencies anew.
func (all *clients) report() (News, bool) {
	all.mu.Lock()
	defer all.mu.Unlock()
	n := all.news
	n.Report, all.news.Latencies = true, map[int]int64{}
	return n, true
}
