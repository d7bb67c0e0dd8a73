package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/cupline/cupline/local/place"
	"github.com/cupline/cupline/local/ports"
	"github.com/cupline/cupline/local/process"
)

// Start runs the server of a folder and returns once it takes connections. What an earlier run left running there is
// stopped first, and what a killed one left behind is recovered. Errors: no server is installed; another process has
// the folder ([place.ErrLocked]); the data was made by another major version; the server did not start within 90 s or
// ctx, with the end of its log.
func Start(ctx context.Context, config Config) (*Instance, error) {
	config, err := config.complete()
	if err != nil {
		return nil, err
	}
	instance := &Instance{config: config}
	if err := instance.Start(ctx); err != nil {
		return nil, err
	}
	return instance, nil
}

// Open returns the instance of a folder as it is, without starting anything: to stop a server that another run left
// running, or to learn how to reach it. The error wraps os.ErrNotExist when the folder never had one.
func Open(config Config) (*Instance, error) {
	i, err := find(config)
	if err == nil {
		err = i.known.Recall(i.folder)
	}
	var running *process.Process
	if err == nil {
		running, err = process.Find(i.pidFile())
	}
	if err != nil {
		return nil, fmt.Errorf("open Postgres's folder: %w", err)
	}
	i.server.Store(running)
	return i, nil
}

// Discard stops whatever runs in a folder and deletes the folder with its data. It is not an error that there is none.
// The error wraps [place.ErrLocked] while the process that started it is still there.
func Discard(ctx context.Context, config Config) error {
	config, err := config.complete()
	if err != nil {
		return err
	}
	i, err := find(config)
	if err == nil {
		err = i.discard(ctx)
	} else if errors.Is(err, os.ErrNotExist) {
		// At most a symbolic link to what is gone already.
		err = place.Remove(config.Base, config.Name)
	}
	if err != nil {
		return fmt.Errorf("discard Postgres: %w", err)
	}
	return nil
}

func (i *Instance) discard(ctx context.Context) error {
	lock, err := place.Take(i.folder.Path)
	if err != nil {
		return err
	}
	// What is to be deleted need not be brought in order first.
	err = process.End(ctx, i.pidFile(), syscall.SIGKILL, 0)
	if err == nil {
		err = place.Remove(i.config.Base, i.config.Name)
	}
	return errors.Join(err, ports.GiveUp(i.folder.Path), lock.Release())
}

// find is the instance of a folder that is there already.
func find(config Config) (*Instance, error) {
	config, err := config.complete()
	if err != nil {
		return nil, err
	}
	folder, err := place.Find(config.Base, config.Name)
	if err != nil {
		return nil, err
	}
	account, err := process.Unprivileged("postgres")
	if err != nil {
		// The package is gone, and with it its user; what is left can still be stopped and deleted.
		account = process.Self()
	}
	return &Instance{config: config, folder: folder, account: account}, nil
}

// settle makes the instance's folder and claims it for this process.
func (i *Instance) settle() (*place.Lock, error) {
	account, err := process.Unprivileged("postgres")
	if err != nil {
		return nil, err
	}
	i.account = account
	if i.folder, err = place.Prepare(i.config.Base, i.config.Name, account); err != nil {
		return nil, err
	}
	return place.Take(i.folder.Path)
}
