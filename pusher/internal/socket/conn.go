package socket

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/cupline/cupline/chassis/failpoint"
	"github.com/cupline/cupline/pusher/internal/session"
	"github.com/cupline/cupline/schema/push"
)

// joinBytes is the most that several frames, joined by newlines, have in one message.
const joinBytes = 32 << 10

type state uint8

const (
	open    state = iota
	closing       // what is queued is written, then the close code
	closed        // the code was sent; the other side's part is waited for
	dead          // the line is cut
)

// conn is one socket. Its reader owns it; a writer runs only while there is something to
// write. It implements session.Transport.
type conn struct {
	server  *Server
	ws      *websocket.Conn
	line    *line // what ws reads from; nil when it is something else
	session *session.Session
	out     int64 // bytes that were read as frames; the reader's own

	mu      sync.Mutex // guards the rest
	state   state
	writing bool
	code    push.CloseCode
	queue   [][]byte
	bytes   int // queued or being written
}

// frames is where messages are read into; none is longer than push.MaxClientFrame.
var frames = sync.Pool{New: func() any {
	b := make([]byte, push.MaxClientFrame+1)
	return &b
}}

// idle waits, with as little as a goroutine can have, for something to read, and reads it.
func (c *conn) idle(ctx context.Context) {
	if c.line != nil {
		c.line.await()
	}
	c.read(ctx)
}

// read leads frames to the session until none is left; a new goroutine then waits for the
// next ones. When the socket ends it ends everything.
func (c *conn) read(ctx context.Context) {
	for {
		kind, r, err := c.ws.NextReader()
		if err != nil {
			break
		}
		if err := c.take(ctx, kind, r); err != nil {
			c.session.BadFrame()
		}
		if c.line != nil && c.line.in.Load() == c.out {
			go c.idle(ctx) // the server waits for it as it did for this one
			return
		}
	}
	c.session.Lost()
	c.kill()
	c.server.forget(c)
	c.server.work.Done()
}

// pinged answers a ping of the WebSocket protocol.
func (c *conn) pinged(payload string) error {
	c.out += frameSize(len(payload))
	c.session.Idle()
	err := c.ws.WriteControl(websocket.PongMessage, []byte(payload), time.Now().Add(c.server.cfg.CloseLimit))
	if errors.Is(err, websocket.ErrCloseSent) {
		return nil
	}
	return err
}

var errFrame = errors.New("not a text frame of allowed length")

// take reads one message and hands its frames to the session, up to one that is none.
func (c *conn) take(ctx context.Context, kind int, r io.Reader) error {
	// Hello takes its time; the buffer is given back before.
	parsed, err := c.parse(kind, r)
	for _, f := range parsed {
		c.session.Receive(ctx, f)
	}
	if len(parsed) == 0 {
		c.session.Idle()
	}
	return err
}

func (c *conn) parse(kind int, r io.Reader) (parsed []push.ClientFrame, err error) {
	b, _ := frames.Get().(*[]byte)
	defer frames.Put(b)
	n, err := io.ReadFull(r, *b)
	c.out += frameSize(n)
	switch {
	case err == nil, kind != websocket.TextMessage:
		return nil, errFrame
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		// The socket broke; the next read says so.
		return nil, nil
	}
	err = push.ParseClient((*b)[:n], func(f push.ClientFrame) error {
		parsed = append(parsed, f)
		return nil
	})
	return parsed, err
}

// Send queues a frame, and starts a writer if there is none.
func (c *conn) Send(frame []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != open {
		return
	}
	if c.bytes > 0 && c.bytes+len(frame) > c.server.cfg.QueueBytes {
		c.cut()
		return
	}
	c.queue = append(c.queue, frame)
	c.bytes += len(frame)
	c.write()
}

// Close sends the code behind what is queued.
func (c *conn) Close(code push.CloseCode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != open {
		return
	}
	c.state, c.code = closing, code
	c.write()
}

// write needs mu. The server waits for the writer as it does for the reader, which is
// still there, or the state were dead.
func (c *conn) write() {
	if c.writing {
		return
	}
	c.writing = true
	c.server.work.Go(c.flush)
}

func (c *conn) flush() {
	for {
		batch, last := c.next()
		switch {
		case batch != nil:
			_ = c.ws.SetWriteDeadline(time.Now().Add(c.server.cfg.WriteLimit)) // fails only where the write does
			if err := c.ws.WriteMessage(websocket.TextMessage, batch); err != nil {
				c.kill()
				return
			}
			failpoint.Pass(failpoint.AfterPush)
			c.written(len(batch))
		case last != 0:
			c.sayGoodbye(last)
			return
		default:
			return
		}
	}
}

// next takes what is to be written: frames as one message, or the code when nothing else is
// left. With neither the writer ends.
func (c *conn) next() (batch []byte, last push.CloseCode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		c.writing, c.queue = false, nil
		if c.state == closing {
			c.state = closed
			return nil, c.code
		}
		return nil, 0
	}
	n, size := 1, len(c.queue[0])
	for n < len(c.queue) && size+1+len(c.queue[n]) <= joinBytes {
		size += 1 + len(c.queue[n])
		n++
	}
	batch = c.queue[0]
	if n > 1 {
		batch = make([]byte, 0, size)
		for i, frame := range c.queue[:n] {
			if i > 0 {
				batch = append(batch, '\n')
				c.bytes++ // written takes it away again
			}
			batch = append(batch, frame...)
		}
	}
	clear(c.queue[:n])
	c.queue = c.queue[n:]
	return batch, 0
}

func (c *conn) written(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes -= n
}

// sayGoodbye sends the close frame. The reader then drains the line until the other side
// has answered, for a while: a socket closed with unread data would be reset, and the code lost.
func (c *conn) sayGoodbye(code push.CloseCode) {
	until := time.Now().Add(c.server.cfg.CloseLimit)
	message := websocket.FormatCloseMessage(int(code), code.Reason())
	if err := c.ws.WriteControl(websocket.CloseMessage, message, until); err != nil {
		c.kill()
		return
	}
	_ = c.ws.SetReadDeadline(until) // fails only on a socket that is closed
}

// turnAway closes a connection that never got a session.
func (c *conn) turnAway(code push.CloseCode) {
	until := time.Now().Add(time.Second)
	_ = c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(int(code), code.Reason()), until) // a courtesy
	_ = c.ws.Close()
}

// kill cuts the line; the reader and the writer then end.
func (c *conn) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut()
}

func (c *conn) cut() {
	if c.state == dead {
		return
	}
	c.state, c.queue = dead, nil
	_ = c.ws.Close() // nothing can be done about it
}
