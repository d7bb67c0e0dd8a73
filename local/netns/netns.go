// Package netns is a small network of hosts on this machine, each a network namespace of its own, whose
// ways to each other are closed and opened, in each direction by itself. It needs root,
// and iproute2.
//
// Nothing of it outlives its namespaces: the hosts hang on a bridge in one more of them, and so does the
// machine, by a pair of virtual interfaces. A network whose process was killed is removed by the next one.
package netns

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// prefix of the namespaces' names; the process's number, the network's token and the host's name follow.
	prefix = "cupline-"
	// folder where `ip netns` keeps namespaces by name.
	folder = "/run/netns"
	// benchmarks are the addresses set aside for tests of networks (RFC 2544): nobody else's.
	benchmarks = "198.18.%d.%d"
	networks   = 256
	machine    = 254 // the machine's own address within the network
	// hub is where the bridge is.
	hub = "hub"
	// nowhere is a station that is not there: what is sent to it is lost in silence, as by a cut cable.
	nowhere = "02:00:00:00:ff:ff"
	// limit of one command; it takes milliseconds.
	limit = 20 * time.Second
	// gone is how long processes of a network that was left behind may take to be gone.
	gone = 10 * time.Second
)

// ErrUnavailable is wrapped when this machine lets the caller make no network: not root, or a container that may not.
var ErrUnavailable = errors.New("no network namespaces here")

// Host is one of a network.
type Host struct {
	// Name is one plain word, Address an IPv4 address that the machine reaches too.
	Name, Address string
	// Path is the file of the namespace.
	Path string
}

// Network of hosts that reach each other and the machine.
type Network struct {
	token string
	hosts []Host
	mark  net.Listener // while it is open, no other network has these addresses
	spare sync.Mutex   // one change at a time
}

// Open makes a network of n hosts, 1 to 200. Close it. The error wraps ErrUnavailable where that is not allowed.
func Open(ctx context.Context, n int) (*Network, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("%w: not root", ErrUnavailable)
	}
	if err := Sweep(ctx); err != nil {
		return nil, err
	}
	network, mark, err := unusedNetwork()
	if err != nil {
		return nil, err
	}
	w := &Network{token: strings.ToLower(rand.Text()[:8]), mark: mark}
	for i := range n {
		name := fmt.Sprintf("n%d", i)
		w.hosts = append(w.hosts, Host{Name: name, Address: fmt.Sprintf(benchmarks, network, i+1), Path: filepath.Join(folder, w.space(name))})
	}
	if err := run(ctx, "netns add "+w.space(hub)); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrUnavailable, err), mark.Close())
	}
	if err := w.build(ctx, fmt.Sprintf(benchmarks, network, machine)); err != nil {
		return nil, errors.Join(fmt.Errorf("make a network: %w", err), w.Close(context.WithoutCancel(ctx)))
	}
	return w, nil
}

func (w *Network) build(ctx context.Context, own string) error {
	outside := "cup-" + w.token
	commands := []string{
		"-n " + w.space(hub) + " link add bridge type bridge", "-n " + w.space(hub) + " link set bridge up",
		"link add " + outside + " type veth peer name machine netns " + w.space(hub),
		"-n " + w.space(hub) + " link set machine master bridge up", "address add " + own + "/24 dev " + outside, "link set " + outside + " up",
	}
	for i, h := range w.hosts {
		space := w.space(h.Name)
		commands = append(commands, "netns add "+space, "-n "+space+" link set lo up",
			"-n "+space+" link add eth0 address "+station(i)+" type veth peer name "+h.Name+" netns "+w.space(hub),
			"-n "+w.space(hub)+" link set "+h.Name+" master bridge up",
			"-n "+space+" address add "+h.Address+"/24 dev eth0", "-n "+space+" link set eth0 up")
	}
	for i := range w.hosts {
		for j := range w.hosts {
			if i != j {
				commands = append(commands, w.way(i, j, station(j)))
			}
		}
	}
	return run(ctx, commands...)
}

// Hosts in their order.
func (w *Network) Hosts() []Host { return append([]Host{}, w.hosts...) }

// Cut loses, in silence, what one host sends to another, by their numbers; the other direction is left as it is.
// The machine still reaches both.
func (w *Network) Cut(ctx context.Context, from, to int) error { return w.turn(ctx, from, to, nowhere) }

// Mend undoes Cut.
func (w *Network) Mend(ctx context.Context, from, to int) error {
	return w.turn(ctx, from, to, station(to))
}

func (w *Network) turn(ctx context.Context, from, to int, station string) error {
	w.spare.Lock()
	defer w.spare.Unlock()
	if err := run(ctx, w.way(from, to, station)); err != nil {
		return fmt.Errorf("turn the way from host %d to host %d: %w", from, to, err)
	}
	return nil
}

// way is the command by which one host's packets to another go to a station. It holds for connections that stand, too.
func (w *Network) way(from, to int, station string) string {
	return fmt.Sprintf("-n %s neighbour replace %s lladdr %s dev eth0 nud permanent", w.space(w.hosts[from].Name), w.hosts[to].Address, station)
}

// station is the address of a host's interface.
func station(i int) string { return fmt.Sprintf("02:00:00:00:00:%02x", i+1) }

// Close removes the network; end what runs in it before.
func (w *Network) Close(ctx context.Context) error {
	return errors.Join(removeSpaces(ctx, filepath.Join(folder, w.space("*"))), w.mark.Close())
}

// Sweep removes networks whose process is gone, and ends what still runs in them.
func Sweep(ctx context.Context) error {
	all, err := filepath.Glob(filepath.Join(folder, prefix+"*-*"))
	if err != nil {
		return err
	}
	for _, path := range all {
		owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(path), prefix), "-")
		pid, err := strconv.Atoi(owner)
		if err != nil || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue // not ours, or its process lives
		}
		err = removeSpaces(ctx, path)
		if _, there := os.Lstat(path); err != nil && !errors.Is(there, os.ErrNotExist) { // else another process sweeps, too, and was first
			return fmt.Errorf("remove a network that was left behind: %w", err)
		}
	}
	return nil
}

// removeSpaces ends what runs in namespaces, and removes them.
func removeSpaces(ctx context.Context, pattern string) error {
	found, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range found {
		name := filepath.Base(path)
		errs = append(errs, empty(ctx, name))
		if strings.HasSuffix(name, "-"+hub) {
			// A namespace that is deleted goes a moment later; the machine's interface is to be gone now. Where the network
			// was not yet whole there is none.
			_ = run(ctx, "-n "+name+" link delete machine")
		}
		errs = append(errs, run(ctx, "netns delete "+name))
	}
	return errors.Join(errs...)
}

// empty kills what runs in a namespace: a namespace without a name lives for as long as a process in it.
func empty(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, gone)
	defer cancel()
	for look := time.NewTicker(20 * time.Millisecond); ; { // nothing tells of the end of what is no child of ours
		printed, err := output(ctx, "netns pids "+name)
		if err != nil {
			return err
		}
		living := strings.Fields(printed)
		if len(living) == 0 {
			return nil
		}
		for _, field := range living {
			if pid, err := strconv.Atoi(field); err == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
			}
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("processes %v are still in %s after SIGKILL: %w", living, name, ctx.Err())
		}
	}
}

// space is the name of a host's namespace.
func (w *Network) space(host string) string {
	return prefix + strconv.Itoa(os.Getpid()) + "-" + w.token + "-" + host
}

// unusedNetwork is the number of one of which the machine has no address, with a mark that keeps others, here and in other processes,
// from choosing the same before it has: an abstract Unix socket, which the kernel forgets with the process.
func unusedNetwork() (number int, mark net.Listener, err error) {
	taken, err := net.InterfaceAddrs()
	if err != nil {
		return 0, nil, fmt.Errorf("look at the machine's addresses: %w", err)
	}
	used := map[netip.Addr]bool{}
	for _, t := range taken {
		if p, err := netip.ParsePrefix(t.String()); err == nil {
			used[p.Addr()] = true
		}
	}
	for i := range networks {
		number := (os.Getpid() + i) % networks
		if used[netip.MustParseAddr(fmt.Sprintf(benchmarks, number, machine))] {
			continue
		}
		mark, err := new(net.ListenConfig).Listen(context.Background(), "unix", "@cupline-network-"+strconv.Itoa(number))
		if err == nil {
			return number, mark, nil
		}
	}
	return 0, nil, errors.New("every network for tests is in use on this machine")
}

// run commands of `ip`, one after the other.
func run(ctx context.Context, commands ...string) error {
	for _, c := range commands {
		if _, err := output(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func output(ctx context.Context, arguments string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	command := exec.CommandContext(ctx, "ip", strings.Fields(arguments)...)
	var said strings.Builder
	command.Stderr = &said
	printed, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("ip %s: %w: %s", arguments, err, strings.TrimSpace(said.String()))
	}
	return string(printed), nil
}
