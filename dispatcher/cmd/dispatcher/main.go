// Command dispatcher executes commands (role work) and settles those that ended without
// an answer (role record). Its settings come from the environment; `dispatcher --settings`
// lists them. The flags are for what differs between processes on one machine.
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

	"github.com/cupline/cupline/chassis/settings"
	"github.com/cupline/cupline/chassis/telemetry"
	"github.com/cupline/cupline/dispatcher/internal/app"
)

func main() {
	if err := run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "dispatcher:", err)
		os.Exit(1)
	}
}

func run(args, environ []string, out, logs io.Writer) error {
	flags := flag.NewFlagSet("dispatcher", flag.ContinueOnError)
	flags.SetOutput(logs)
	// A flag wins over the variable of the same meaning: settings.Load takes the last of a name.
	for name, variable := range map[string]string{
		"roles": "CUPLINE_ROLES", "lanes": "CUPLINE_LANES", "concurrency": "CUPLINE_CONCURRENCY",
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
	dispatcher, err := app.New(ctx, cfg, log, level)
	if err != nil {
		return err
	}
	return dispatcher.Run(ctx)
}
