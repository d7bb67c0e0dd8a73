// Package services builds Cupline's own programs from the checkout and runs them as processes of their own, for
// `cupline up`, the end-to-end tests and the benches.
package services

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// Programs by the name of their file.
const (
	API        = "api"
	Dispatcher = "dispatcher"
	Pusher     = "pusher"
	Agent      = "cupline-agent"
	CLI        = "cupline"
)

var packages = []string{
	"./api/cmd/api", "./dispatcher/cmd/dispatcher", "./pusher/cmd/pusher", "./agent/cmd/cupline-agent", "./cli/cmd/cupline",
}

// Build compiles every program of the checkout at root into the folder, with further
// arguments for `go build` (say -race). The error carries what the compiler said.
func Build(ctx context.Context, root, folder string, arguments ...string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make the folder for the programs: %w", err)
	}
	args := append([]string{"build", "-buildvcs=false", "-o", folder + string(filepath.Separator)}, arguments...)
	build := exec.CommandContext(ctx, "go", append(args, packages...)...)
	build.Dir = root
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build Cupline's programs: %w\n%s", err, bytes.TrimSpace(said))
	}
	return nil
}

// BuildShared compiles every program of the checkout at root into a folder of it that all who want them as they are share, and
// returns the folder. What is up to date there is not built again; one process builds at a time, the others wait for it.
func BuildShared(ctx context.Context, root string) (folder string, err error) {
	folder = filepath.Join(root, ".run", "programs")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("make the folder for the programs: %w", err)
	}
	turn, err := os.OpenFile(folder+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", fmt.Errorf("wait for others that build the programs: %w", err)
	}
	defer func() { err = errors.Join(err, turn.Close()) }() // which gives it up
	if err := syscall.Flock(int(turn.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("wait for others that build the programs: %w", err)
	}
	return folder, Build(ctx, root, folder)
}

// Root is the checkout's folder: the nearest one above the working directory that holds go.work.
func Root() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.work")); err == nil {
			return folder, nil
		}
		above := filepath.Dir(folder)
		if above == folder {
			return "", errors.New("no go.work here or above: run this inside Cupline's checkout")
		}
		folder = above
	}
}
