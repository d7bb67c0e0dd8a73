// Command pusher holds clients' WebSocket connections and brings them their outcomes; what
// it cannot bring it keeps in their mailboxes. Its settings come from the environment;
// `pusher --settings` lists them.
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
	"github.com/cupline/cupline/pusher/internal/app"
)

// garbage may lie: connections by the ten thousand keep little each, and what they cost beyond that is mostly room that the
// collector leaves. At 50 % instead of 100 an idle client takes a fifth less memory, for a few per cent of CPU; while few
// are connected, it is the megabytes that count.
var garbage = heap.Garbage{Percent: 50, Least: 16 << 20}

func main() {
	defer garbage.Allow()()
	if err := run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "pusher:", err)
		os.Exit(1)
	}
}

func run(args, environ []string, out, logs io.Writer) error {
	return command.Program[app.Settings]{
		Name: "pusher",
		Flags: map[string]string{
			"slot":          "CUPLINE_SLOT",
			"listen":        "CUPLINE_LISTEN",
			"internal-addr": "CUPLINE_INTERNAL_ADDR",
		},
		Log: func(cfg app.Settings) telemetry.LogConfig { return cfg.Log },
		Serve: func(ctx context.Context, cfg app.Settings, log *zap.Logger, level zap.AtomicLevel) error {
			pusher, err := app.New(ctx, cfg, log, level)
			if err != nil {
				return err
			}
			return pusher.Run(ctx)
		},
		Metrics: func(ctx context.Context, cfg app.Settings) ([]telemetry.Metric, error) {
			pusher, err := app.New(ctx, cfg, zap.NewNop(), zap.NewAtomicLevel())
			if err != nil {
				return nil, err
			}
			return pusher.Reference()
		},
	}.Run(args, environ, out, logs)
}
