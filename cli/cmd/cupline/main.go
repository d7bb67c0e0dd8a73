// Command cupline sends commands to devices, shows what became of them, and runs Cupline
// on this machine.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/root"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := root.Run(ctx, &console.Console{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv}, os.Args[1:])
	stop()
	os.Exit(code)
}
