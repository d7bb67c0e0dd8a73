// Command api is Cupline's front door: it accepts commands, and keeps devices and keys. Its
// settings come from the environment; `api --settings` lists them.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"go.uber.org/zap"

	"github.com/cupline/cupline/api/internal/app"
	"github.com/cupline/cupline/chassis/command"
	"github.com/cupline/cupline/chassis/heap"
	"github.com/cupline/cupline/chassis/telemetry"
)

// garbage may lie: a busy api makes megabytes of it in no time and keeps few, so that at 100 % of those alone it would
// collect all the time.
var garbage = heap.Garbage{Percent: 100, Least: 32 << 20}

func main() {
	defer garbage.Allow()()
	if err := run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1)
	}
}

func run(args, environ []string, out, logs io.Writer) error {
	return command.Program[app.Settings]{
		Name: "api",
		Log:  func(cfg app.Settings) telemetry.LogConfig { return cfg.Log },
		Serve: func(ctx context.Context, cfg app.Settings, log *zap.Logger, level zap.AtomicLevel) error {
			api, err := app.New(ctx, cfg, log, level)
			if err != nil {
				return err
			}
			return api.Run(ctx)
		},
		Metrics: func(ctx context.Context, cfg app.Settings) ([]telemetry.Metric, error) {
			api, err := app.New(ctx, cfg, zap.NewNop(), zap.NewAtomicLevel())
			if err != nil {
				return nil, err
			}
			return api.Reference()
		},
	}.Run(args, environ, out, logs)
}
