package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/cupline/cupline/schema/push"
)

const (
	// welcomeLimit bounds the wait for the client's binding on the broker.
	welcomeLimit = 45 * time.Second
	writeLimit   = 10 * time.Second
	// ackPause gathers acks: one says that everything up to an outcome has come.
	ackPause = 5 * time.Millisecond
	// closeLimit bounds the wait for the pusher's side of the closing.
	closeLimit = 5 * time.Second
)

// socket is one client's connection to the pusher.
type socket struct {
	conn  *websocket.Conn
	book  *book
	clock func() time.Duration
	fail  func(error)
	// pause is what goes by between two acks.
	pause time.Duration

	last    atomic.Uint64 // seq of the newest outcome
	news    chan struct{} // an outcome has come
	leaving chan struct{} // no more acks, we go
	acked   chan struct{} // the acker has ended, all is acked
	ended   chan struct{} // the reader has ended
	writing sync.Mutex
	buffer  bytes.Buffer // the reader's
}

// open connects a client and waits until outcomes can come.
func open(ctx context.Context, address string, window int, client *Client, b *book) (*socket, error) {
	dialer := websocket.Dialer{HandshakeTimeout: dialLimit, Subprotocols: []string{push.Subprotocol}}
	//nolint:bodyclose // the body of a refused handshake is in memory, that of another is the connection
	conn, answer, err := dialer.DialContext(ctx, address, http.Header{"Authorization": {"Bearer " + client.Token}})
	if err != nil {
		if answer != nil {
			err = fmt.Errorf("%w: %s", err, answer.Status)
		}
		return nil, fmt.Errorf("connect client %s to the pusher: %w", client.ID, err)
	}
	s := &socket{
		conn: conn, book: b, pause: ackPause, news: make(chan struct{}, 1),
		leaving: make(chan struct{}), acked: make(chan struct{}), ended: make(chan struct{}),
	}
	if err := s.welcome(window); err != nil {
		return nil, errors.Join(fmt.Errorf("connect client %s to the pusher: %w", client.ID, err), conn.Close())
	}
	return s, nil
}

func (s *socket) welcome(window int) error {
	if err := s.write(push.ClientFrame{Type: push.TypeHello, Window: window}); err != nil {
		return err
	}
	if err := s.conn.SetReadDeadline(time.Now().Add(welcomeLimit)); err != nil {
		return err
	}
	_, message, err := s.conn.ReadMessage()
	if err != nil {
		return err
	}
	first, more, _ := bytes.Cut(message, []byte{'\n'})
	var f frame
	if err := json.Unmarshal(first, &f); err != nil || f.Type != push.TypeWelcome || len(bytes.TrimSpace(more)) > 0 {
		return fmt.Errorf("it says %.200q instead of welcome", message)
	}
	return s.conn.SetReadDeadline(time.Time{})
}

// frame is what the pusher sends, as far as it is looked at.
type frame struct {
	Type     string `json:"type"`
	Seq      uint64 `json:"seq"`
	ID       *int64 `json:"id"`
	Source   string `json:"source"`
	Response struct {
		ID    *int64 `json:"id"`
		Error *struct {
			Code int `json:"code"`
			Data struct {
				Reason string `json:"reason"`
			} `json:"data"`
		} `json:"error"`
	} `json:"response"`
}

// read takes frames until the connection ends.
func (s *socket) read() {
	defer close(s.ended)
	for {
		err := s.next()
		if err == nil {
			continue
		}
		select {
		case <-s.leaving:
		default:
			s.fail(fmt.Errorf("a client's socket broke: %w", err))
		}
		return
	}
}

func (s *socket) next() error {
	_, r, err := s.conn.NextReader()
	if err != nil {
		return err
	}
	s.buffer.Reset()
	if _, err := io.Copy(&s.buffer, r); err != nil {
		return err
	}
	now := s.clock()
	for line := range bytes.SplitSeq(s.buffer.Bytes(), []byte{'\n'}) {
		if len(line) == 0 {
			continue
		}
		if err := s.take(line, now); err != nil {
			return err
		}
	}
	return nil
}

func (s *socket) take(line []byte, now time.Duration) error {
	var f frame
	if err := json.Unmarshal(line, &f); err != nil {
		return fmt.Errorf("read a frame %.200q: %w", line, err)
	}
	switch f.Type {
	case push.TypeOutcome:
		s.settle(f, now)
	case push.TypePing:
		return s.write(push.ClientFrame{Type: push.TypePong})
	case push.TypeDrain, push.TypeError:
		return fmt.Errorf("the pusher says %.200q", line)
	}
	return nil
}

func (s *socket) settle(f frame, now time.Duration) {
	reason := ""
	if f.Response.Error != nil {
		reason = f.Response.Error.Data.Reason
		if reason == "" {
			reason = fmt.Sprintf("error %d", f.Response.Error.Code)
		}
	}
	id, responseID := int64(-1), int64(-2)
	if f.ID != nil {
		id = *f.ID
	}
	if f.Response.ID != nil {
		responseID = *f.Response.ID
	}
	// Before it is settled: that may be what the run's end waits for, and the last ack has to cover it.
	s.last.Store(f.Seq)
	s.book.settle(id, responseID, reason, f.Source == push.SourceMailbox, now)
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// ack acks what has come, all together, and pauses; it ends when the socket is leaving, with all acked.
func (s *socket) ack() {
	defer close(s.acked)
	pause := time.NewTimer(s.pause)
	defer pause.Stop()
	var acked uint64
	for leaving := false; !leaving; {
		select {
		case <-s.news:
			pause.Reset(s.pause)
			select {
			case <-pause.C:
			case <-s.leaving:
			}
		case <-s.leaving:
			leaving = true
		}
		if last := s.last.Load(); last > acked {
			acked = last
			// That it fails is for the reader to notice, which learns why.
			_ = s.write(push.ClientFrame{Type: push.TypeAck, Seq: last})
		}
	}
}

func (s *socket) write(f push.ClientFrame) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.conn.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil {
		return err
	}
	return s.conn.WriteMessage(websocket.TextMessage, f.Line())
}

// run serves the socket on goroutines that leave waits for.
func (s *socket) run(clock func() time.Duration, fail func(error)) {
	s.clock, s.fail = clock, fail
	go s.read()
	go s.ack()
}

// leave logs out, so that the client is not bound any more, and waits for both goroutines.
func (s *socket) leave() error {
	close(s.leaving)
	<-s.acked
	err := s.write(push.ClientFrame{Type: push.TypeBye})
	_ = s.conn.SetReadDeadline(time.Now().Add(closeLimit)) // fails only on a connection that is closed
	<-s.ended
	if closing := s.conn.Close(); err == nil && closing != nil {
		err = closing
	}
	return err
}
