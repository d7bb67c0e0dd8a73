package rabbitmq

import (
	"context"
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
	// startLimit bounds a node's start unless told otherwise: 3 to 8 s on an idle small machine, over a minute where ten others build on it, more while it recovers a backlog.
	startLimit = 5 * time.Minute
	// stopGrace is how long a node may take to stop by itself before it is killed.
	stopGrace = 30 * time.Second
)

// Instance is a private node, running or stopped. Its methods are not for concurrent use, but for [Instance.Wait] and those that
// say where it is and with which secrets: that may be asked at any time.
type Instance struct {
	config  Config
	folder  place.Folder
	account process.Account
	lock    *place.Lock
	// node is nil while nothing runs. Wait reads it beside the other methods.
	node atomic.Pointer[process.Process]
	// known is what the folder remembers, as far as it was asked.
	known place.Memory[memory]
	// reserved are its ports, from the first start on for as long as the instance is: whoever was told of them looks for the node there
	// when it is started again.
	reserved *ports.Reservation
}

// Start runs the node again, with its data, and on its ports where those are still free. See the function [Start].
func (i *Instance) Start(ctx context.Context) error {
	began := time.Now()
	limit := i.config.StartLimit
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it did not serve within %s", limit))
	defer cancel()
	broker, err := packages.FindRabbitMQ()
	if err != nil {
		return fmt.Errorf("start RabbitMQ: %w", err)
	}
	lock, err := i.settle()
	if err != nil {
		return fmt.Errorf("start RabbitMQ: %w", err)
	}
	i.lock = lock
	if err := i.run(ctx, broker); err != nil {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
		defer cancel()
		return errors.Join(fmt.Errorf("start RabbitMQ: %w", err), i.end(ending, time.Second))
	}
	i.config.say("RabbitMQ serves after %.1f s", time.Since(began).Seconds())
	return nil
}

func (i *Instance) run(ctx context.Context, broker packages.RabbitMQ) (err error) {
	if err := i.endOrphans(ctx); err != nil {
		return err
	}
	if err := i.reserved.Release(); err != nil { // for the moment in which they are looked at anew
		return err
	}
	if i.reserved, err = i.remember(); err != nil {
		return err
	}
	files := layoutOf(i.folder.Work)
	if err := files.write(i.config, i.known.Get(), broker.Version, i.account); err != nil {
		return err
	}
	// Only what this start prints is of interest.
	if err := os.Remove(i.outputFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("delete the last start's output: %w", err)
	}
	if err := i.startEpmd(ctx); err != nil {
		return err
	}
	node, err := process.Start(process.Spec{
		Name: "RabbitMQ", Path: broker.Server, Env: environment(i.config, i.known.Get(), files, erlangPath),
		Dir: i.folder.Work, Log: i.outputFile(), PidFile: i.pidFile("rabbitmq"), Account: i.account, Network: i.config.Host.Network,
	})
	if err != nil {
		return err
	}
	i.node.Store(node)
	if err := node.Ready(ctx, i.checks()...); errors.Is(ctx.Err(), context.Canceled) {
		return err // the caller's wish, and nothing that the node could explain
	} else if err != nil {
		return fmt.Errorf("%w; it says (more in %s):\n%s", err, i.LogFile(), i.complaint())
	}
	return nil
}

// Serving returns once all listeners of the running node serve, which may have stopped meanwhile: a node that finds itself
// parted from the others closes them. The error is ctx's, or says that nothing runs.
func (i *Instance) Serving(ctx context.Context) error {
	node := i.node.Load()
	if node == nil {
		return errors.New("wait for RabbitMQ to serve: it does not run")
	}
	return node.Ready(ctx, i.checks()...)
}

// Wait returns when the node has ended, by whatever cause, or when ctx is done, with ctx's error.
func (i *Instance) Wait(ctx context.Context) error {
	if node := i.node.Load(); node != nil {
		return node.Wait(ctx)
	}
	return nil
}

// Running reports whether the node's process is there.
func (i *Instance) Running() bool {
	found, err := process.Find(i.pidFile("rabbitmq"))
	return err == nil && found != nil
}

// Stop stops the node and its epmd: by itself within 30 s, else by force. Its data stays. It is not an error that
// nothing runs.
func (i *Instance) Stop(ctx context.Context) error {
	if err := i.end(ctx, stopGrace); err != nil {
		return fmt.Errorf("stop RabbitMQ: %w", err)
	}
	return nil
}

// Kill ends the node at once with SIGKILL, as a power cut would; its epmd stays. [Instance.Start] starts it again.
func (i *Instance) Kill() error {
	node := i.node.Swap(nil)
	if node == nil {
		return nil
	}
	if err := errors.Join(node.Kill(), i.lock.Release()); err != nil {
		return fmt.Errorf("kill RabbitMQ: %w", err)
	}
	return nil
}

// Pause stops the node in its tracks (SIGSTOP) until Resume: to the other nodes, and to its
// clients, it looks like a partition. It is an error that nothing runs.
func (i *Instance) Pause() error { return i.signal(syscall.SIGSTOP) }

// Resume lets a paused node go on.
func (i *Instance) Resume() error { return i.signal(syscall.SIGCONT) }

func (i *Instance) signal(signal syscall.Signal) error {
	node := i.node.Load()
	if node == nil {
		return fmt.Errorf("send %s to RabbitMQ: it does not run", signal)
	}
	if err := syscall.Kill(node.PID(), signal); err != nil {
		return fmt.Errorf("send %s to RabbitMQ: %w", signal, err)
	}
	return nil
}

// end stops whatever of this instance runs and gives the folder up.
func (i *Instance) end(ctx context.Context, grace time.Duration) error {
	var err error
	if node := i.node.Swap(nil); node != nil {
		i.easeStop(ctx)
		err = node.Stop(ctx, syscall.SIGTERM, grace)
	}
	err = errors.Join(err, i.endEpmd(ctx), i.lock.Release())
	i.lock = nil
	return err
}

// endOrphans stops what an earlier run left in this folder.
func (i *Instance) endOrphans(ctx context.Context) error {
	orphan, err := process.Find(i.pidFile("rabbitmq"))
	if err != nil {
		return err
	}
	if orphan != nil {
		i.config.say("stopping the RabbitMQ that an earlier run left running")
		if i.known.Recall(i.folder) == nil {
			i.easeStop(ctx)
		}
		if err := orphan.Stop(ctx, syscall.SIGTERM, stopGrace); err != nil {
			return err
		}
	}
	return i.endEpmd(ctx)
}

// URL is the AMQP address with the administrator's name and password: amqp://user:password@address:port/.
func (i *Instance) URL() string {
	return i.urlOf("amqp", i.known.Get().AMQPPort, "/")
}

// ManagementURL is the management API's address with name and password: http://user:password@address:port.
func (i *Instance) ManagementURL() string {
	return i.urlOf("http", i.known.Get().ManagementPort, "")
}

// MQTTAddress is where MQTT 3.1.1 is spoken: address:port.
func (i *Instance) MQTTAddress() string {
	return i.config.Host.at(i.known.Get().MQTTPort)
}

// User is the administrator's name.
func (i *Instance) User() string {
	return i.known.Get().User
}

// Password is the administrator's password, a secret.
func (i *Instance) Password() string {
	return i.known.Get().Password
}

// Node is the Erlang node's name.
func (i *Instance) Node() string {
	return i.known.Get().Node
}

// EpmdPort is the port of the epmd that knows the node, for [Config].EpmdPort of others that join it.
func (i *Instance) EpmdPort() int {
	return i.known.Get().EpmdPort
}

// Cookie is the Erlang cookie, a secret, for [Config].Cookie of others that join the node.
func (i *Instance) Cookie() string {
	return i.known.Get().Cookie
}

// LogFile is the node's own log.
func (i *Instance) LogFile() string {
	return filepath.Join(layoutOf(i.folder.Work).logs, logName)
}

// outputFile gets what the node prints rather than logs: why it could not even begin.
func (i *Instance) outputFile() string {
	return filepath.Join(i.folder.Path, "output.log")
}

func (i *Instance) pidFile(name string) string {
	return filepath.Join(i.folder.Path, name+".pid")
}

func (i *Instance) urlOf(scheme string, port int, path string) string {
	address := url.URL{Scheme: scheme, User: url.UserPassword(i.known.Get().User, i.known.Get().Password),
		Host: i.config.Host.at(port), Path: path}
	return address.String()
}
