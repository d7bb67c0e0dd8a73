package rabbitmq

import (
	"context"
	"strconv"
	"syscall"
	"time"

	"github.com/cupline/cupline/local/ports"
	"github.com/cupline/cupline/local/process"
)

// erlangPath is where the programs of the packages are; the caller's own PATH is not asked.
const erlangPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// startEpmd runs the daemon that knows on which port a node listens for other nodes. A node would start one by itself,
// which would outlive it unnoticed; started here, it is a child like any other, on the loopback address only.
func (i *Instance) startEpmd(ctx context.Context) error {
	if i.config.EpmdPort != 0 {
		return nil
	}
	program, err := findErlang("epmd")
	if err != nil {
		return err
	}
	daemon, err := process.Start(process.Spec{
		Name: "epmd", Path: program, Args: []string{"-address", "127.0.0.1", "-port", strconv.Itoa(i.known.EpmdPort)},
		Env: []string{"PATH=" + erlangPath}, Dir: "/", Log: i.outputFile(), PidFile: i.pidFile("epmd"),
		Account: i.account,
	})
	if err != nil {
		return err
	}
	return daemon.Ready(ctx, func(ctx context.Context) error { return dial(ctx, ports.Address(i.known.EpmdPort)) })
}

// endEpmd stops this folder's epmd, of this run or an earlier one. It knows nothing that would need saving.
func (i *Instance) endEpmd(ctx context.Context) error {
	return process.End(ctx, i.pidFile("epmd"), syscall.SIGTERM, time.Second)
}
