package rabbitmq

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

// Start runs the node of a folder and returns once all its listeners serve. What an earlier run left running there is
// stopped first. Errors: the broker is not installed or too old; another process has the folder ([place.ErrLocked]);
// the node did not start within [Config].StartLimit or ctx, with the end of its log.
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

// Open returns the instance of a folder as it is, without starting anything: to stop a node that another run left
// running, or to learn how to reach it. The error wraps os.ErrNotExist when the folder never had a node.
func Open(config Config) (*Instance, error) {
	i, err := find(config)
	if err == nil {
		err = i.known.Recall(i.folder)
	}
	var running *process.Process
	if err == nil {
		running, err = process.Find(i.pidFile("rabbitmq"))
	}
	if err != nil {
		return nil, fmt.Errorf("open RabbitMQ's folder: %w", err)
	}
	i.node.Store(running)
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
		return fmt.Errorf("discard RabbitMQ: %w", err)
	}
	return nil
}

func (i *Instance) discard(ctx context.Context) error {
	lock, err := place.Take(i.folder.Path)
	if err != nil {
		return err
	}
	// What is to be deleted need not be brought in order first.
	err = errors.Join(process.End(ctx, i.pidFile("rabbitmq"), syscall.SIGKILL, 0), i.endEpmd(ctx))
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
	account, err := process.Unprivileged("rabbitmq")
	if err != nil {
		// The package is gone, and with it its user; what is left can still be stopped and deleted.
		account = process.Self()
	}
	return &Instance{config: config, folder: folder, account: account}, nil
}

// settle makes the instance's folder and claims it for this process.
func (i *Instance) settle() (*place.Lock, error) {
	account, err := process.Unprivileged("rabbitmq")
	if err != nil {
		return nil, err
	}
	i.account = account
	if i.folder, err = place.Prepare(i.config.Base, i.config.Name, account); err != nil {
		return nil, err
	}
	return place.Take(i.folder.Path)
}
