package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cupline/cupline/local/packages"
	"github.com/cupline/cupline/local/place"
	"github.com/cupline/cupline/local/ports"
	"github.com/cupline/cupline/local/process"
)

const (
	// startLimit bounds a server's start, the first one's making of a cluster and a recovery after a kill included.
	startLimit = 5 * time.Minute
	// stopGrace is how long the server may take for a fast stop before it is killed.
	stopGrace = 20 * time.Second
	// fastStop asks Postgres to end its sessions and stop.
	fastStop = syscall.SIGINT
)

// memory is what a folder remembers of its server, its secret included.
type memory struct {
	Port     int    `json:"port"`
	Password string `json:"password"`
}

// Instance is a private server, running or stopped. Its methods are not for concurrent use, but for [Instance.Wait] and those that
// say where it is and with which secrets: that may be asked at any time.
type Instance struct {
	config  Config
	folder  place.Folder
	account process.Account
	lock    *place.Lock
	// server is nil while nothing runs. Wait reads it beside the other methods.
	server atomic.Pointer[process.Process]
	// known is what the folder remembers, as far as it was asked.
	known place.Memory[memory]
	// reserved is its port, from the first start on for as long as the instance is: whoever was told of it looks for the server there
	// when it is started again.
	reserved *ports.Reservation
}

// Start runs the server again, with its data, and on its port where that is still free. See the function [Start].
func (i *Instance) Start(ctx context.Context) error {
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, fmt.Errorf("it did not serve within %s", startLimit))
	defer cancel()
	if _, err := packages.FindPostgres(); err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	lock, err := i.settle()
	if err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	i.lock = lock
	if err := i.run(ctx); err != nil {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
		defer cancel()
		return errors.Join(fmt.Errorf("start Postgres: %w", err), i.Stop(ending))
	}
	i.config.say("Postgres serves after %.1f s", time.Since(began).Seconds())
	return nil
}

func (i *Instance) run(ctx context.Context) (err error) {
	if err := i.endOrphans(ctx); err != nil {
		return err
	}
	if err := i.reserved.Release(); err != nil { // for the moment in which it is looked at anew
		return err
	}
	if i.reserved, err = i.remember(); err != nil {
		return err
	}
	files := layoutOf(i.folder.Work)
	server, err := i.serverFor(ctx, files)
	if err != nil {
		return err
	}
	if err := files.write(i.config, i.known.Get().Port, i.account); err != nil {
		return err
	}
	if err := clearStale(files.data); err != nil {
		return err
	}
	started, err := process.Start(process.Spec{
		Name: "Postgres", Path: filepath.Join(server.Bin, "postgres"),
		Args: []string{"-D", files.data, "-c", "config_file=" + files.config},
		Env:  environment(i.folder.Work), Dir: i.folder.Work, Log: i.LogFile(), PidFile: i.pidFile(),
		Account: i.account,
	})
	if err != nil {
		return err
	}
	i.server.Store(started)
	ready := func(context.Context) error { return takesConnections(files.data) }
	if err := started.Ready(ctx, ready); errors.Is(ctx.Err(), context.Canceled) {
		return err // the caller's wish, and nothing that the server could explain
	} else if err != nil {
		return fmt.Errorf("%w; its log, %s, ends:\n%s", err, i.LogFile(), process.Tail(i.LogFile()))
	}
	return nil
}

// endOrphans stops what an earlier run left in this folder.
func (i *Instance) endOrphans(ctx context.Context) error {
	orphan, err := process.Find(i.pidFile())
	if err != nil || orphan == nil {
		return err
	}
	i.config.say("stopping the Postgres that an earlier run left running")
	return orphan.Stop(ctx, fastStop, stopGrace)
}

// remember reads the folder's memory or makes one, replaces a port that was taken meanwhile, and saves it. The port is
// reserved.
func (i *Instance) remember() (*ports.Reservation, error) {
	var known memory
	err := i.folder.Recall(&known)
	if errors.Is(err, os.ErrNotExist) {
		known, err = memory{Password: rand.Text()}, nil
	}
	if err != nil {
		return nil, err
	}
	reserved, err := ports.Reserve(known.Port)
	if err != nil {
		return nil, err
	}
	known.Port = reserved.Ports[0]
	if err := i.known.Remember(i.folder, known); err != nil {
		return nil, errors.Join(err, reserved.Release())
	}
	return reserved, nil
}

// Wait returns when the server has ended, by whatever cause, or when ctx is done, with ctx's error.
func (i *Instance) Wait(ctx context.Context) error {
	if server := i.server.Load(); server != nil {
		return server.Wait(ctx)
	}
	return nil
}

// Running reports whether the server's process is there.
func (i *Instance) Running() bool {
	found, err := process.Find(i.pidFile())
	return err == nil && found != nil
}

// Stop stops the server, ending its sessions: by itself within 20 s, else by force. Its data stays. It is not an error
// that nothing runs.
func (i *Instance) Stop(ctx context.Context) error {
	var err error
	if server := i.server.Swap(nil); server != nil {
		err = server.Stop(ctx, fastStop, stopGrace)
	}
	if err = errors.Join(err, i.lock.Release()); err != nil {
		return fmt.Errorf("stop Postgres: %w", err)
	}
	return nil
}

// Kill ends the server at once with SIGKILL; what was committed is recovered when [Instance.Start] starts it again.
func (i *Instance) Kill() error {
	server := i.server.Swap(nil)
	if server == nil {
		return nil
	}
	if err := errors.Join(server.Kill(), i.lock.Release()); err != nil {
		return fmt.Errorf("kill Postgres: %w", err)
	}
	return nil
}

// Pause holds the server and its sessions still, by SIGSTOP, until [Instance.Resume]: connections stay, and nothing answers.
func (i *Instance) Pause() error {
	if err := i.server.Load().Pause(); err != nil {
		return fmt.Errorf("pause Postgres: %w", err)
	}
	return nil
}

// Resume lets a paused server go on.
func (i *Instance) Resume() error {
	if err := i.server.Load().Resume(); err != nil {
		return fmt.Errorf("resume Postgres: %w", err)
	}
	return nil
}

// URL is the database's address with the superuser's name and password.
func (i *Instance) URL() string {
	address := url.URL{Scheme: "postgres", User: url.UserPassword(Superuser, i.known.Get().Password),
		Host: ports.Address(i.known.Get().Port), Path: "/" + Database, RawQuery: "sslmode=disable"}
	return address.String()
}

// LogFile is the server's log.
func (i *Instance) LogFile() string {
	return filepath.Join(i.folder.Path, "postgres.log")
}

func (i *Instance) pidFile() string {
	return filepath.Join(i.folder.Path, "postgres.pid")
}
