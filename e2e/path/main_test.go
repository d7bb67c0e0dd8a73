// Package path_test walks the main path from outside: real processes, real broker, real
// Postgres, real devices over MQTT and HTTP, real clients over HTTP and WebSocket.
package path_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/cupline/cupline/e2e/platform"
	"github.com/cupline/cupline/local/services"
)

// site is the one installation that all tests share. Tests that stop parts of it run one
// after the other, before those that run in parallel; each has a tenant of its own.
var site *platform.Platform

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // all of it needs processes
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	return platform.Around(m, platform.StartLimit, func(ctx context.Context, p *platform.Platform) error {
		site = p
		return startServices(ctx)
	})
}

func startServices(ctx context.Context) error {
	for _, s := range []struct{ name, program string }{
		{"api", services.API},
		{"dispatcher-0", services.Dispatcher}, {"dispatcher-1", services.Dispatcher},
		{"pusher-0", services.Pusher}, {"pusher-1", services.Pusher},
	} {
		if err := start(ctx, s.name, s.program); err != nil {
			return err
		}
	}
	return nil
}

// start runs a service under its name; a pusher's slot is its name.
func start(ctx context.Context, name, program string) error {
	env := map[string]string{}
	switch program {
	case services.Pusher:
		env["CUPLINE_SLOT"] = name
	case services.Dispatcher:
		env["CUPLINE_HTTP_ALLOWED_NETWORKS"] = "127.0.0.0/8" // the tests' devices
	}
	if _, err := site.Run(ctx, name, program, env); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
