package runbook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/cupline/cupline/local/ports"
)

// lamp is a device that speaks HTTP, and at first has no power: nobody listens at its address.
type lamp struct {
	address  string
	reserved *ports.Reservation // nobody else is to listen there
	server   *http.Server
	serving  sync.WaitGroup
}

// newLamp chooses an address. Discard the lamp.
func newLamp() (*lamp, error) {
	reserved, err := ports.Reserve(0)
	if err != nil {
		return nil, fmt.Errorf("choose the lamp's address: %w", err)
	}
	return &lamp{address: ports.Address(reserved.Ports[0]), reserved: reserved}, nil
}

// discard switches it off, and gives its address up.
func (l *lamp) discard() error { return errors.Join(l.off(), l.reserved.Release()) }

// on gives it power.
func (l *lamp) on(ctx context.Context) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", l.address)
	if err != nil {
		return fmt.Errorf("switch the lamp on: %w", err)
	}
	l.server = &http.Server{Handler: http.HandlerFunc(switched), ReadHeaderTimeout: time.Minute}
	l.serving.Go(func() { _ = l.server.Serve(listener) }) // always ErrServerClosed, in the end
	return nil
}

// off takes the power away; it may have none.
func (l *lamp) off() error {
	if l.server == nil {
		return nil
	}
	err := l.server.Close()
	l.serving.Wait()
	l.server = nil
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// switched is what it does: as it is told.
func switched(w http.ResponseWriter, r *http.Request) {
	var request struct {
		ID json.RawMessage `json:"id"`
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"on":true}}`, request.ID) // the dispatcher tells of an answer that is cut
}
