package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

const (
	dialLimit = 15 * time.Second
	// answerLimit is well beyond what the platform takes to answer anything: 2 s when the broker is away.
	answerLimit = 15 * time.Second
	maxAnswer   = 1 << 20
)

// errNotSent tells that a request did not leave.
var errNotSent = errors.New("not sent")

// poster posts over one connection that is kept open. It is net/http's client without the two goroutines and the
// channels for each connection: on a machine that both sides share, what the load costs the platform lacks.
type poster struct {
	address string
	token   string
	conn    net.Conn
	in      *bufio.Reader
	out     []byte
	body    []byte
}

// post sends the body, and returns the status and the answer, valid until the next post.
// The error wraps errNotSent when the server cannot have got it.
func (p *poster) post(ctx context.Context, path string, body []byte) (status int, answer []byte, err error) {
	if p.conn == nil {
		conn, err := (&net.Dialer{Timeout: dialLimit}).DialContext(ctx, "tcp", p.address)
		if err != nil {
			return 0, nil, fmt.Errorf("%w: %w", errNotSent, err)
		}
		p.conn, p.in = conn, bufio.NewReader(conn)
	}
	status, answer, err = p.exchange(path, body)
	if err != nil {
		p.close()
	}
	return status, answer, err
}

func (p *poster) exchange(path string, body []byte) (int, []byte, error) {
	if err := p.conn.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return 0, nil, fmt.Errorf("%w: %w", errNotSent, err)
	}
	p.out = append(p.out[:0], "POST "...)
	p.out = append(p.out, path...)
	p.out = append(p.out, " HTTP/1.1\r\nHost: "...)
	p.out = append(p.out, p.address...)
	p.out = append(p.out, "\r\nAuthorization: Bearer "...)
	p.out = append(p.out, p.token...)
	p.out = append(p.out, "\r\nContent-Type: application/json\r\nContent-Length: "...)
	p.out = strconv.AppendInt(p.out, int64(len(body)), 10)
	p.out = append(p.out, "\r\n\r\n"...)
	p.out = append(p.out, body...)
	if _, err := p.conn.Write(p.out); err != nil {
		return 0, nil, fmt.Errorf("post: %w", err)
	}
	response, err := http.ReadResponse(p.in, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("read the answer: %w", err)
	}
	defer response.Body.Close()
	if n := response.ContentLength; n >= 0 && n <= maxAnswer {
		if int64(cap(p.body)) < n {
			p.body = make([]byte, n)
		}
		p.body = p.body[:n]
		_, err = io.ReadFull(response.Body, p.body)
	} else {
		p.body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	}
	if err != nil {
		return 0, nil, fmt.Errorf("read the answer: %w", err)
	}
	if response.Close {
		p.close()
	}
	return response.StatusCode, p.body, nil
}

func (p *poster) close() {
	if p.conn != nil {
		_ = p.conn.Close() // nothing on it counts any more
		p.conn = nil
	}
}
