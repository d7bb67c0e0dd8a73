// Package up is `cupline up`: all of Cupline on this machine, with a broker and a database
// of its own, until Ctrl-C.
package up

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/local/place"
	"github.com/cupline/cupline/local/services"
)

// folderName is where everything is kept, in the checkout's folder.
const folderName = ".run"

// Command is `cupline up`.
func Command() *cobra.Command {
	var folder string
	var reset bool
	cmd := &cobra.Command{
		Use: "up", Short: "Run all of Cupline on this machine, from the checkout, until Ctrl-C", Args: cobra.NoArgs,
		Long: `Run all of Cupline on this machine, from its checkout, until Ctrl-C: install RabbitMQ and Postgres where they
are missing, start private instances of both in .run/, migrate, build and start api, dispatcher, pusher
and an agent that makes this machine the device "host". System services are neither needed nor touched.
Addresses and a key are written to .run/cupline.env. Ctrl-C stops exactly what was started; the data
survives until --reset.

With CUPLINE_EXTERNAL_AMQP_URL or CUPLINE_EXTERNAL_DATABASE_URL set these are used instead.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			root, err := services.Root()
			if err != nil {
				return err
			}
			if folder == "" {
				folder = filepath.Join(root, folderName)
			}
			if folder, err = filepath.Abs(folder); err != nil {
				return fmt.Errorf("find the folder: %w", err)
			}
			if reset {
				return forget(cmd.Context(), folder)
			}
			return run(cmd.Context(), root, folder, newProgress(cmd.OutOrStdout()))
		},
	}
	cmd.Flags().StringVar(&folder, "folder", "", "where data, logs and cupline.env are kept (default .run in the checkout)")
	cmd.Flags().BoolVar(&reset, "reset", false, "forget what earlier runs keep in .run/, and start nothing")
	return cmd
}

// run is one `cupline up` from its start to its end. Being interrupted is its usual end, and no error.
func run(ctx context.Context, root, folder string, progress *progress) error {
	lock, err := claim(folder)
	if err != nil {
		return err
	}
	s := newStage(root, folder, progress)
	err = s.start(ctx)
	if err == nil {
		s.tell()
		err = s.wait(ctx)
	}
	if ctx.Err() != nil {
		err = nil
	}
	if err != nil {
		progress.line("stopping, because of an error")
	} else {
		progress.line("stopping")
	}
	return errors.Join(err, s.stop(), lock.Release())
}

// claim makes the folder and keeps others out of it for as long as this process lives.
func claim(folder string) (*place.Lock, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder for what runs: %w", err)
	}
	lock, err := place.Take(folder)
	if errors.Is(err, place.ErrLocked) {
		return nil, fmt.Errorf("already running from %s: use it, or stop it first with Ctrl-C where it runs", folder)
	}
	return lock, err
}
