// Command cupline-agent makes the Linux machine it runs on a Cupline device over MQTT 3.1.1.
//
// Methods: host.info, host.load, host.disk {"path"}, echo, sleep {"seconds"},
// relay.set {"on"}, relay.get {"command_id"}.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"go.uber.org/zap"

	"github.com/cupline/cupline/agent/internal/app"
)

const (
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run()) }

func run() int {
	settings, err := app.Load(os.Args[1:], os.Getenv, os.Stderr)
	if errors.Is(err, app.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cupline-agent:", err)
		return exitUsage
	}
	config := zap.NewProductionConfig()
	if config.Level, err = zap.ParseAtomicLevel(settings.LogLevel); err != nil {
		fmt.Fprintln(os.Stderr, "cupline-agent: log-level:", err)
		return exitUsage
	}
	log, err := config.Build()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cupline-agent: open the log:", err)
		return exitFailed
	}
	defer func() { _ = log.Sync() }() // a pipe or terminal cannot be synced, and says so
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log = log.With(zap.String("tenant", settings.Tenant), zap.String("device", settings.Device))
	if err := app.Run(ctx, settings, log); err != nil {
		log.Error("ended", zap.Error(err))
		return exitFailed
	}
	return 0
}
