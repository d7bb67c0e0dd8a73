// Command api is Cupline's front door: it accepts commands, and keeps devices and keys. Its
// settings come from the environment; `api --settings` lists them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/cupline/cupline/api/internal/app"
	"github.com/cupline/cupline/chassis/settings"
	"github.com/cupline/cupline/chassis/telemetry"
)

func main() {
	if err := run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1)
	}
}

func run(args, environ []string, out, logs io.Writer) error {
	flags := flag.NewFlagSet("api", flag.ContinueOnError)
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
	api, err := app.New(ctx, cfg, log, level)
	if err != nil {
		return err
	}
	return api.Run(ctx)
}
