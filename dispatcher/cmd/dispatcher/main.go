// Command dispatcher executes commands (role work) and settles those that ended without
// an answer (role record). Its settings come from the environment; `dispatcher --settings`
// lists them. The flags are for what differs between processes on one machine.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/command"
	"github.com/cupline/cupline/chassis/heap"
	"github.com/cupline/cupline/chassis/telemetry"
	"github.com/cupline/cupline/dispatcher/internal/app"
)

// garbage may lie: a busy dispatcher makes megabytes of it in no time and keeps few, so that at 100 % of those alone it would
// collect all the time.
var garbage = heap.Garbage{Percent: 100, Least: 32 << 20}

func main() {
	defer garbage.Allow()()
	if err := run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "dispatcher:", err)
		os.Exit(1)
	}
}

func run(args, environ []string, out, logs io.Writer) error {
	return command.Program[app.Settings]{
		Name: "dispatcher",
		Flags: map[string]string{
			"roles":       "CUPLINE_ROLES",
			"lanes":       "CUPLINE_LANES",
			"concurrency": "CUPLINE_CONCURRENCY",
		},
		Log: func(cfg app.Settings) telemetry.LogConfig { return cfg.Log },
		Serve: func(ctx context.Context, cfg app.Settings, log *zap.Logger, level zap.AtomicLevel) error {
			dispatcher, err := app.New(ctx, cfg, log, level)
			if err != nil {
				return err
			}
			return dispatcher.Run(ctx)
		},
		Metrics: func(ctx context.Context, cfg app.Settings) ([]telemetry.Metric, error) {
			dispatcher, err := app.New(ctx, cfg, zap.NewNop(), zap.NewAtomicLevel())
			if err != nil {
				return nil, err
			}
			return dispatcher.Reference()
		},
	}.Run(args, environ, out, logs)
}
