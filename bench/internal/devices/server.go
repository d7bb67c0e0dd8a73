package devices

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/cupline/cupline/schema/jsonrpc"
)

// Server answers commands that are posted to it, for all devices that have its address. It is one HTTP server of the load.
type Server struct {
	listener net.Listener
	server   *http.Server
	ended    chan error
}

// Serve starts one on a free port of the loopback address.
func Serve(ctx context.Context) (*Server, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen as HTTP devices: %w", err)
	}
	s := &Server{
		listener: listener, ended: make(chan error, 1),
		server: &http.Server{Handler: http.HandlerFunc(answer), ReadHeaderTimeout: greetLimit},
	}
	go func() { s.ended <- s.server.Serve(listener) }()
	return s, nil
}

// Address is host:port.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Close ends it.
func (s *Server) Close() error {
	err := s.server.Close()
	if ended := <-s.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// mostRequest bounds a request, in bytes; the platform takes 64 KiB.
const mostRequest = 128 << 10

// answer executes a command at once.
func answer(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostRequest))
	if err != nil {
		http.Error(w, "cannot be read", http.StatusBadRequest)
		return
	}
	request, err := jsonrpc.ParseRequest(body)
	if err != nil || len(request.ID.Raw) == 0 {
		http.Error(w, "no request", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	said := append([]byte(`{"jsonrpc":"2.0","id":`), request.ID.Raw...)
	_, _ = w.Write(append(said, `,"result":{"on":true}}`...))
}
