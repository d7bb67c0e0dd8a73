// Command testbed gives tests a private RabbitMQ and a private Postgres, installing both if need be:
//
//	testbed [--install gcc] [--base .run] -- COMMAND ARGUMENTS...
//
// runs the command with both, in a fresh folder that is gone afterwards, and exits with the command's exit code.
//
//	testbed install       install what is missing, and start nothing: for tests that start instances of their own
//	testbed start DIR     start both in DIR and leave them running
//	testbed env DIR       print the exports that reach them, for eval "$(testbed env DIR)"
//	testbed stop DIR      stop both; their data stays, and the next start uses the same ports
//	testbed remove DIR    stop both and delete their data
//
// What a test reads: CUPLINE_TEST_AMQP_URL, CUPLINE_TEST_MANAGEMENT_URL, CUPLINE_TEST_MQTT_ADDR and
// CUPLINE_TEST_DATABASE_URL. Run it as a built program: "go run" neither passes signals on nor keeps exit codes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes of testbed's own failures; a command's exit code is passed on as it is.
const (
	exitFailed = 1
	exitUsage  = 2
)

const usage = `usage: testbed [--install PROGRAM,...] [--base DIR] [--keep] -- COMMAND [ARGUMENT...]
       testbed [--install PROGRAM,...] start DIR
       testbed [--install PROGRAM,...] install
       testbed env DIR | stop DIR | remove DIR
`

func main() {
	os.Exit(run(os.Args[1:]))
}

// options are the flags.
type options struct {
	install, base string
	keep          bool
}

func run(arguments []string) int {
	var options options
	flags := flag.NewFlagSet("testbed", flag.ContinueOnError)
	flags.Usage = func() {
		_, _ = fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&options.install, "install", "", "further `programs` to install if missing, with commas between: gcc")
	flags.StringVar(&options.base, "base", ".run", "`folder` below which the temporary folder is made")
	flags.BoolVar(&options.keep, "keep", false, "leave the temporary folder, with the logs, until the next run")
	if err := flags.Parse(arguments); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return exitUsage
	}
	if flags.NArg() > 0 && separated(arguments, flags.NArg()) {
		return runCommand(options, flags.Args())
	}
	want := 2
	if flags.Arg(0) == "install" {
		want = 1
	}
	if flags.NArg() != want {
		flags.Usage()
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := verb(ctx, flags.Arg(0), flags.Arg(1), options.install); err != nil {
		fmt.Fprintln(os.Stderr, "testbed:", err)
		return exitFailed
	}
	return 0
}

// separated reports whether "--" stands before what follows the flags.
func separated(arguments []string, rest int) bool {
	before := len(arguments) - rest
	return before > 0 && arguments[before-1] == "--"
}

func verb(ctx context.Context, name, folder, install string) error {
	switch name {
	case "install":
		return ensure(ctx, install)
	case "start":
		return keep(ctx, folder, install)
	case "env":
		return printExports(folder)
	case "stop":
		return stopKept(folder)
	case "remove":
		return discard(folder)
	}
	return fmt.Errorf("there is no verb %q\n%s", name, usage)
}
