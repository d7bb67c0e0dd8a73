package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/cupline/cupline/local/place"
	"github.com/cupline/cupline/local/ports"
	"github.com/cupline/cupline/local/process"
)

// erlangPath is where the programs of the packages are; the caller's own PATH is not asked.
const erlangPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// startEpmd runs the daemon that knows on which port a node listens for other nodes. A node would start one by itself,
// which would outlive it unnoticed; started here, it is a child like any other, on the loopback address only.
func (i *Instance) startEpmd(ctx context.Context) error {
	if i.config.EpmdPort != 0 && i.config.Host == loopback() {
		return nil
	}
	return launchEpmd(ctx, i.config.Host, i.known.Get().EpmdPort, i.outputFile(), i.pidFile("epmd"), i.account)
}

// endEpmd stops this folder's epmd, of this run or an earlier one. It knows nothing that would need saving.
func (i *Instance) endEpmd(ctx context.Context) error {
	return process.End(ctx, i.pidFile("epmd"), syscall.SIGTERM, time.Second)
}

func launchEpmd(ctx context.Context, host Host, port int, log, pidFile string, account process.Account) error {
	program, err := findErlang("epmd")
	if err != nil {
		return err
	}
	daemon, err := process.Start(process.Spec{
		Name: "epmd", Path: program, Args: []string{"-address", host.Address, "-port", strconv.Itoa(port)},
		Env: []string{"PATH=" + erlangPath}, Dir: "/", Log: log, PidFile: pidFile, Account: account,
		Network: host.Network,
	})
	if err != nil {
		return err
	}
	return daemon.Ready(ctx, func(ctx context.Context) error { return dial(ctx, host.at(port)) })
}

// epmdName is the folder of an epmd of its own, within its base.
const epmdName = "epmd"

// Epmd is an epmd with a life of its own, for the nodes of a cluster, each of which can then be ended: nodes do not
// register again with one that was started anew.
type Epmd struct {
	base   string
	folder place.Folder
	lock   *place.Lock
	port   int
}

// StartEpmd runs one in base/epmd, made if need be; what an earlier run left there is stopped first. The error wraps
// [place.ErrLocked] while another process has the folder.
func StartEpmd(ctx context.Context, base string) (*Epmd, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	e := &Epmd{base: base}
	if err := e.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start epmd: %w", err), e.lock.Release())
	}
	return e, nil
}

func (e *Epmd) start(ctx context.Context) (err error) {
	account, err := process.Unprivileged("rabbitmq")
	if err != nil {
		return err
	}
	if e.folder, err = place.Prepare(e.base, epmdName, account); err != nil {
		return err
	}
	if e.lock, err = place.Take(e.folder.Path); err != nil {
		return err
	}
	if err := process.End(ctx, e.pidFile(), syscall.SIGTERM, time.Second); err != nil {
		return err
	}
	reserved, err := ports.Reserve(0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reserved.Release()) }()
	e.port = reserved.Ports[0]
	return launchEpmd(ctx, loopback(), e.port, filepath.Join(e.folder.Path, "output.log"), e.pidFile(), account)
}

// Port is for [Config].EpmdPort of the nodes.
func (e *Epmd) Port() int { return e.port }

// Discard stops it and deletes its folder. Stop the nodes before.
func (e *Epmd) Discard(ctx context.Context) error {
	err := errors.Join(process.End(ctx, e.pidFile(), syscall.SIGTERM, time.Second), e.lock.Release())
	if err == nil {
		err = place.Remove(e.base, epmdName)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("discard epmd: %w", err)
	}
	return nil
}

func (e *Epmd) pidFile() string { return filepath.Join(e.folder.Path, "epmd.pid") }
