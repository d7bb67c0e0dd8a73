// Package watch_test looks at a real platform as those who watch it do: by Prometheus, by
// promtool, by an OTLP endpoint.
package watch_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/cupline/cupline/e2e/platform"
	"github.com/cupline/cupline/local/services"
)

const checkout = "../.."

// site is the one installation that the tests share; receiver takes its traces. Tests run
// one after the other: what they look at is everybody's.
var (
	site     *platform.Platform
	receiver *traces
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // all of it needs processes
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	receiver = newTraces()
	defer receiver.Close()
	return platform.Around(m, platform.StartLimit, func(ctx context.Context, p *platform.Platform) error {
		site = p
		for _, s := range []struct{ name, program string }{
			{"api", services.API}, {"dispatcher-0", services.Dispatcher}, {"pusher-0", services.Pusher},
		} {
			if err := start(ctx, s.name, s.program, receiver.URL); err != nil {
				return err
			}
		}
		return nil
	})
}

// start runs a service under its name; a pusher's slot is its name. Every trace that comes
// sampled goes to the endpoint.
func start(ctx context.Context, name, program, endpoint string) error {
	env := map[string]string{
		"CUPLINE_FIGURES_EVERY":       "1s",
		"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
		"OTEL_TRACES_SAMPLER_ARG":     "0", // those that come sampled, and no others
	}
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
