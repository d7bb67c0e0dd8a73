package cupline

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"github.com/cupline/cupline/schema/push"
)

const (
	// dialLimit bounds TCP, TLS and the upgrade.
	dialLimit = 10 * time.Second
	// welcomeLimit bounds the wait for welcome, which comes once the client is bound on
	// the broker: after a storm of connects that takes its time.
	welcomeLimit = 45 * time.Second
)

// ending is how an attempt or a connection came to its end.
type ending struct {
	advice push.Advice
	err    error
	// session is what welcome named; empty when it never came.
	session string
	// lasted is how long the connection was of use.
	lasted  time.Duration
	drained bool
}

// connect runs one connection from dialling to its end. A token that has ended by the platform's clock is not tried
// again, however good it looks by ours; one that is refused ends the listener only where it was fetched for this very
// connection.
func (l *Listener) connect(ctx context.Context, previous string) ending {
	tokens := l.client.tokens
	before := tokens.count()
	end := l.attempt(ctx, previous)
	var closed *CloseError
	refused := errors.Is(end.err, ErrUnauthorized)
	if errors.As(end.err, &closed) {
		refused = closed.Code == push.BadToken || closed.Code == push.TokenExpired
	}
	if !refused {
		return end
	}
	tokens.refused()
	if end.advice == push.Stop && tokens.renewable() && tokens.count() == before {
		end.advice = push.BackOff
	}
	return end
}

func (l *Listener) attempt(ctx context.Context, previous string) ending {
	socket, err := l.dial(ctx)
	if err != nil {
		advice := push.Resume
		if errors.Is(err, ErrUnauthorized) {
			advice = push.Stop
		}
		return ending{advice: advice, err: err}
	}
	s := &session{listener: l, socket: socket, queue: make(chan item, l.cfg.Window)}
	return s.run(ctx, previous)
}

func (l *Listener) dial(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	address := connectURL(*l.client.push)
	token, err := l.client.tokens.forConnection(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w: %w", address, ErrUnreachable, err)
	}
	dialer := websocket.Dialer{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: l.cfg.TLS, Subprotocols: []string{push.Subprotocol},
	}
	socket, answer, err := dialer.DialContext(ctx, address, http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		if answer != nil {
			defer closeBody(answer) // the library has read its first kilobyte already
			return nil, fmt.Errorf("connect to %s: %w", address, readProblem(answer, true))
		}
		return nil, fmt.Errorf("connect to %s: %w: %w", address, ErrUnreachable, err)
	}
	if socket.Subprotocol() != push.Subprotocol {
		_ = socket.Close() // it is of no use, whatever becomes of it
		return nil, fmt.Errorf("connect to %s: the server does not speak %s", address, push.Subprotocol)
	}
	socket.SetReadLimit(l.cfg.MaxMessage)
	return socket, nil
}

func connectURL(u url.URL) string {
	u.Scheme = strings.Replace(u.Scheme, "http", "ws", 1)
	if u.Path == "" {
		u.Path = "/v1/connect"
	}
	return u.String()
}
