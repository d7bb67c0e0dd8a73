// Command pusher holds clients' WebSocket connections and brings them their outcomes; what
// it cannot bring it keeps in their mailboxes. Its settings come from the environment;
// `pusher --settings` lists them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/cupline/cupline/chassis/settings"
	"github.com/cupline/cupline/chassis/telemetry"
	"github.com/cupline/cupline/pusher/internal/app"
)

// garbage is GOGC's default here. Connections by the ten thousand keep little each, and
// what they cost beyond that is mostly room that the collector leaves for garbage: at 50
// instead of 100 an idle client takes a fifth less memory, for a few per cent of CPU.
const garbage = 50

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	if err := run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "pusher:", err)
		os.Exit(1)
	}
}

func run(args, environ []string, out, logs io.Writer) error {
	flags := flag.NewFlagSet("pusher", flag.ContinueOnError)
	// A flag wins over the variable of the same meaning: settings.Load takes the last of a name.
	for name, variable := range map[string]string{
		"slot": "CUPLINE_SLOT", "listen": "CUPLINE_LISTEN", "internal-addr": "CUPLINE_INTERNAL_ADDR",
	} {
		flags.Func(name, "instead of "+variable, func(value string) error {
			environ = append(environ, variable+"="+value)
			return nil
		})
	}
	list := flags.Bool("settings", false, "list the settings, and end")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *list {
		table, err := settings.Markdown(app.Settings{})
		if err != nil {
			return err
		}
		_, err = io.WriteString(out, table)
		return err
	}
	var cfg app.Settings
	if err := settings.Load(&cfg, environ); err != nil {
		return err
	}
	log, level, err := telemetry.NewLog(logs, cfg.Log)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	pusher, err := app.New(ctx, cfg, log, level)
	if err != nil {
		return err
	}
	return pusher.Run(ctx)
}
