// Package desk_test kills api in the midst of an operator's job, at named points of its work: real processes, real broker, real
// Postgres, a real device over HTTP.
package desk_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/failpoint"
	"github.com/cupline/cupline/e2e/platform"
	"github.com/cupline/cupline/local/services"
)

// patience is how long anything may take that is not itself under test: far more than it does, since the machine may be busy.
const patience = 60 * time.Second

var site *platform.Platform

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // all of it needs processes
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	extra := platform.Extra{Build: []string{"-tags", "failpoints"}}
	return platform.AroundWith(m, platform.StartLimit, extra, func(ctx context.Context, p *platform.Platform) error {
		site = p
		if err := startAPI(ctx); err != nil {
			return err
		}
		for name, program := range map[string]string{"dispatcher-0": services.Dispatcher, "pusher-0": services.Pusher} {
			env := map[string]string{"CUPLINE_SLOT": name, "CUPLINE_HTTP_ALLOWED_NETWORKS": "127.0.0.0/8"}
			if _, err := site.Run(ctx, name, program, env); err != nil {
				return err
			}
		}
		return nil
	})
}

// points is the folder in which api's points are armed.
func points() string { return filepath.Join(site.Folder(), "points") }

func startAPI(ctx context.Context) error {
	_, err := site.Run(ctx, services.API, services.API, map[string]string{failpoint.Folder: points()})
	return err
}

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
