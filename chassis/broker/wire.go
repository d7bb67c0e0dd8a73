package broker

import (
	"bufio"
	"net"
	"runtime"
	"sync"
	"time"
)

const (
	// writeLimit is how long the broker may leave a write untaken before the connection is
	// dropped. A broker in an alarm stops reading, but by then nothing more is written; so a
	// write that stands this long is a peer that is gone, and the library, which sets no
	// deadline on writes, would wait for it under a lock that its reader needs.
	writeLimit = 30 * time.Second
	// unsentLimit bounds the bytes that wait for the socket; past it writers wait.
	unsentLimit = 256 << 10
	// readSize is read from the socket at once. The library's own buffer holds some five commands.
	readSize = 32 << 10
)

// wire is the socket as the library sees it. The library writes each frame by itself, and each
// write would cost a system call here and a wake-up in the broker; so what is written is joined,
// and one goroutine sends it as fast as the socket takes it. It lets others that are ready to run
// go first: they may have more to write. When nothing else is ready, nothing waits.
//
// A frame may thus be lost after Write has taken it. That is nothing new: nobody knows what
// became of a frame before the broker answers it.
type wire struct {
	net.Conn
	reader *bufio.Reader
	done   chan struct{} // closed when send has returned

	mu     sync.Mutex // guards the rest
	change sync.Cond  // something to send, or room for more, or the end
	unsent []byte
	spare  []byte // the other buffer, while it is not being sent
	err    error  // why nothing more can be sent
}

// newWire begins to send; Close ends that.
func newWire(socket net.Conn) *wire {
	w := &wire{Conn: socket, reader: bufio.NewReaderSize(socket, readSize), done: make(chan struct{})}
	w.change.L = &w.mu
	go w.send()
	return w
}

func (w *wire) Read(p []byte) (int, error) { return w.reader.Read(p) }

// Write takes p to be sent; an error is what an earlier send ended with.
func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.err == nil && len(w.unsent) >= unsentLimit {
		w.change.Wait()
	}
	if w.err != nil {
		return 0, w.err
	}
	if len(w.unsent) == 0 {
		w.change.Broadcast()
	}
	w.unsent = append(w.unsent, p...)
	return len(p), nil
}

// Close ends everything at once; what is unsent is lost. It returns when nothing runs any more.
func (w *wire) Close() error {
	w.fail(net.ErrClosed)
	err := w.Conn.Close()
	<-w.done
	return err
}

func (w *wire) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
	w.change.Broadcast()
}

func (w *wire) send() {
	defer close(w.done)
	for w.wait() {
		runtime.Gosched()
		if err := w.flush(); err != nil {
			w.fail(err)
			_ = w.Conn.Close() // or the reader would not hear of it
			return
		}
	}
}

// wait returns when there is something to send, or false when there is an end to it.
func (w *wire) wait() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.err == nil && len(w.unsent) == 0 {
		w.change.Wait()
	}
	return w.err == nil
}

func (w *wire) flush() error {
	w.mu.Lock()
	sending := w.unsent
	w.unsent = w.spare[:0]
	w.change.Broadcast()
	w.mu.Unlock()
	if err := w.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil {
		return err
	}
	_, err := w.Conn.Write(sending)
	w.mu.Lock()
	w.spare = sending
	w.mu.Unlock()
	return err
}
