// Command bench measures Cupline as a whole: it starts a private broker and a durable private database, runs api, dispatcher and
// pusher as processes of their own, drives them over real HTTP and WebSockets, and prints what they do per second and
// what that costs, beside a bare pipeline on the same broker in the same run.
//
//	bench [--cases NAME,...] [--seconds N] [--rounds N] [--rates 20,10%,50%] [--json FILE] [--html FILE] [--baseline FILE] [--set NAME=VALUE] [--smoke]
//
// It exits with 1 when a run lost, doubled or refused anything: such a run gives no figure.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/cupline/cupline/bench/internal/suite"
	"github.com/cupline/cupline/local/services"
)

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, arguments []string, out, progress io.Writer) int {
	cfg, files, err := parse(arguments, progress)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(progress, "bench:", err)
		return exitUsage
	}
	baseline, err := files.before()
	if err != nil {
		fmt.Fprintln(progress, "bench:", err)
		return exitUsage
	}
	found, err := suite.Run(ctx, cfg)
	if len(found.Runs) > 0 {
		err = errors.Join(err, found.Table(out), files.write(found, baseline, out))
	}
	if err != nil {
		fmt.Fprintln(progress, "bench:", err)
		return exitFailed
	}
	return 0
}

// parse reads the flags; those that are not given keep the values of the default bench, or of the smoke.
func parse(arguments []string, progress io.Writer) (suite.Config, files, error) {
	cfg := suite.Default()
	if smoke(arguments) {
		cfg = suite.Smoke()
	}
	cfg.Progress = progress
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(progress)
	flags.Usage = func() { usage(flags) }
	flags.Bool("smoke", false, "everything once, small and short: whether it works, not how fast")
	flags.Func("cases", "`names`, with commas between; those that are not long when not given, all of them for all", func(text string) error {
		cfg.Cases = strings.Split(text, ",")
		return nil
	})
	flags.Func("rates", "of the latency cases: commands per second, or parts of the ceiling; default 20,10%,25%,50%,80%", func(text string) (err error) {
		cfg.Rates, err = suite.ParseRates(text)
		return err
	})
	flags.Func("seconds", fmt.Sprintf("how long each run counts, in `seconds`; default %g", cfg.Length.Seconds()), func(text string) error {
		length, err := time.ParseDuration(text + "s")
		cfg.Length = length
		return err
	})
	flags.DurationVar(&cfg.Warmup, "warmup", cfg.Warmup, "how long each run goes on before it counts")
	flags.IntVar(&cfg.Rounds, "rounds", cfg.Rounds, "of all cases at their ceiling; the figures are medians")
	flags.IntVar(&cfg.Limit, "commands", cfg.Limit, "the most commands of one run")
	flags.IntVar(&cfg.Clients, "clients", cfg.Clients, "clients, with a WebSocket each")
	flags.IntVar(&cfg.Window, "window", cfg.Window, "outcomes that a client lets wait for its ack")
	flags.IntVar(&cfg.Workers, "workers", cfg.Workers, "connections that post")
	flags.IntVar(&cfg.Devices, "devices", cfg.Devices, "devices of each type")
	flags.IntVar(&cfg.Connections, "device-connections", cfg.Connections, "MQTT connections that the devices share, at most one each")
	flags.IntVar(&cfg.Size, "size", cfg.Size, "bytes of a request, and of a message of the bare pipeline")
	flags.StringVar(&cfg.Folder, "folder", "", "where everything is kept meanwhile; .run/bench of the checkout when not given")
	flags.StringVar(&cfg.Profiles, "profiles", "", "take CPU profiles of the services in each run, into this `folder`; they cost a little")
	var kept files
	flags.StringVar(&kept.json, "json", "", "write everything that was measured to this `file`")
	flags.StringVar(&kept.html, "html", "", "write the report, with plots, to this `file`")
	flags.StringVar(&kept.baseline, "baseline", "", "hold the figures against those of a `file` that --json wrote")
	repeatable(flags, &cfg)
	trials(flags, &cfg)
	if err := flags.Parse(arguments); err != nil {
		return cfg, kept, err
	}
	cfg.Connections = min(cfg.Connections, cfg.Devices)
	if flags.NArg() > 0 {
		return cfg, kept, fmt.Errorf("what is %q meant to be? Cases go into --cases", flags.Arg(0))
	}
	cfg, err := complete(cfg)
	return cfg, kept, err
}

// repeatable are the flags that may be given again: each adds to what is there.
func repeatable(flags *flag.FlagSet, cfg *suite.Config) {
	flags.Func("set", "a setting of the services, `NAME=VALUE`; may be given again", func(text string) error {
		name, value, found := strings.Cut(text, "=")
		if !found || name == "" {
			return errors.New("must be NAME=VALUE")
		}
		cfg.Settings[name] = value
		return nil
	})
	for _, list := range []struct {
		name, usage string
		into        *[]string
	}{
		{"rabbitmq", "a `line` of rabbitmq.conf", &cfg.Broker},
		{"postgres", "a `line` of postgresql.conf", &cfg.Database},
		{"build", "an `argument` of go build for the services, such as -race", &cfg.Build},
	} {
		flags.Func(list.name, list.usage+"; may be given again", func(text string) error {
			*list.into = append(*list.into, text)
			return nil
		})
	}
}

// smoke looks ahead: what it sets is the default of the other flags.
func smoke(arguments []string) bool {
	for _, argument := range arguments {
		if argument == "--smoke" || argument == "-smoke" {
			return true
		}
	}
	return false
}

func complete(cfg suite.Config) (suite.Config, error) {
	root, err := services.Root()
	if err != nil {
		return cfg, err
	}
	cfg.Root = root
	if cfg.Profiles != "" {
		cfg.Settings["CUPLINE_PROFILES"] = "true"
	}
	if cfg.Folder == "" {
		cfg.Folder = filepath.Join(root, ".run", "bench")
	}
	if cfg.Folder, err = filepath.Abs(cfg.Folder); err != nil {
		return cfg, err
	}
	return cfg, cfg.Check()
}

func usage(flags *flag.FlagSet) {
	fmt.Fprint(flags.Output(), "usage: bench [FLAG...]\n\ncases:\n")
	for _, one := range suite.Cases() {
		mark := ""
		if one.Long() {
			mark = " (long)"
		}
		fmt.Fprintf(flags.Output(), "  %-16s %s%s\n", one.Name, one.About, mark)
	}
	fmt.Fprint(flags.Output(), "\nflags:\n")
	flags.PrintDefaults()
}
