// Package app puts the agent together and runs it.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/agent/internal/basic"
	"github.com/cupline/cupline/agent/internal/engine"
	"github.com/cupline/cupline/agent/internal/host"
	"github.com/cupline/cupline/agent/internal/mqtt"
	"github.com/cupline/cupline/agent/internal/relay"
	"github.com/cupline/cupline/agent/internal/rpc"
	"github.com/cupline/cupline/agent/internal/trial"
	"github.com/cupline/cupline/chassis/certs"
	"github.com/cupline/cupline/schema/device"
)

// answerLimit is how long an answer waits for a connection. Past the timeout of its
// method nobody listens for it, and few methods have a longer one.
const answerLimit = 30 * time.Second

// Run is the agent from its start until ctx is done and all is stopped again. A broker
// that is away is no error: it is tried until it is there.
func Run(ctx context.Context, s Settings, log *zap.Logger) error {
	trust, err := certs.Client(certs.ClientFiles{CA: s.CAFile, Cert: s.CertFile, Key: s.KeyFile}, log)
	if err != nil {
		return err
	}
	switched, err := relay.Open(s.State)
	if err != nil {
		return err
	}
	defer func() { _ = switched.Close() }() // each line of it was written whole
	// Commands that run outlive the signal to stop, for a while.
	commands, cancelCommands := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelCommands()
	var runner *engine.Engine
	link := mqtt.New(mqtt.Config{
		URL: s.URL, Username: s.Username, Password: s.Password, TLS: trust.Config,
		ClientID: device.Login(s.Tenant, s.Device), Filter: device.CommandsFilter(s.Tenant, s.Device),
		Take: func(topic string, payload []byte) { runner.Take(commands, topic, payload) }, Log: log,
	})
	runner = engine.New(link, engine.Config{
		Methods: methods(s, switched), Concurrency: s.Concurrency, AnswerLimit: answerLimit, Log: log,
	})
	stopServing, err := serve(ctx, s.InternalAddr, link.Connected, log)
	if err != nil {
		return err
	}
	link.Run(ctx)
	log.Info("stopping")
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Grace)
	defer cancel()
	runner.Stop(ending, cancelCommands)
	link.Close()
	return stopServing()
}

func methods(s Settings, switched *relay.Relay) rpc.Table {
	table := rpc.Table{}
	basic.Add(table)
	host.NewMachine(os.DirFS("/")).Add(table)
	switched.Add(table)
	if s.TestMethods {
		trial.Add(table, switched)
	}
	return table
}

// serve answers /healthz, and /readyz with 503 while the broker is away.
func serve(ctx context.Context, addr string, connected func() bool, log *zap.Logger) (stop func() error, err error) {
	if addr == "" {
		return func() error { return nil }, nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for /readyz: %w", err)
	}
	mux := http.NewServeMux()
	// Whoever asks and is gone by the answer needs none.
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !connected() {
			http.Error(w, "not connected to the MQTT broker", http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ready\n")
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the internal port is gone", zap.Error(err))
		}
	}()
	return func() error {
		err := server.Close()
		<-ended
		return err
	}, nil
}
