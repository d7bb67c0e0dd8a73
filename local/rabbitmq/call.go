package rabbitmq

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// callLimit bounds a call into the node; one takes about 10 ms.
const callLimit = 3 * time.Second

// easeStop spares a node with the management plugin 5 s of its stop: up to 3.13 at least, a handler of the plugin waits
// in vain at that point for a process that is stopping it. Taking the handler away first is all it needs. Nothing is
// lost where this does not work, so what goes wrong is not looked at.
func (i *Instance) easeStop(ctx context.Context) {
	if i.config.enabled(management) {
		_ = i.call(ctx, "gen_event delete_handler [rabbit_event,rabbit_mgmt_db_handler,[]]")
	}
}

// Apply has the running node apply a function, in the form "module function [argument,...]", for tests that
// bring a node into a state which its settings do not.
func (i *Instance) Apply(ctx context.Context, application string) error {
	return i.call(ctx, application)
}

// call has the node apply a function, in the form that erl_call takes. It is the quick way into a node: rabbitmqctl
// starts a second Erlang machine for each call. The cookie is read from the node's home, not from the arguments, which
// every user could see.
func (i *Instance) call(ctx context.Context, application string) error {
	program, err := findErlang("erl_call")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	caller := exec.CommandContext(ctx, program, "-address", i.config.Host.at(i.known.Get().DistPort), "-a", application)
	caller.Env = []string{"HOME=" + layoutOf(i.folder.Work).home, fmt.Sprintf("ERL_EPMD_PORT=%d", i.known.Get().EpmdPort),
		"PATH=" + erlangPath}
	caller.Dir = "/"
	caller.SysProcAttr = i.account.Attributes()
	caller.WaitDelay = time.Second
	if answer, err := caller.CombinedOutput(); err != nil {
		return fmt.Errorf("call into the node: %w: %s", err, answer)
	}
	return nil
}

// findErlang finds a program of the Erlang packages.
func findErlang(name string) (string, error) {
	candidates, err := filepath.Glob("/usr/lib/erlang/erts-*/bin/" + name)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", name, err)
	}
	for _, path := range append([]string{"/usr/bin/" + name}, candidates...) {
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("find %s: neither in /usr/bin nor below /usr/lib/erlang: reinstall erlang-base", name)
}
