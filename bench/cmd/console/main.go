// Command console measures in headless Chromium how soon each page of the operators' console is painted, and has its data, with a
// million dead letters in the database; and how the JavaScript client bears 5,000 outcomes a second in one tab.
//
//	console [--letters N] [--loads N] [--limit 300ms]
//
// It exits with 1 when the median of any page's first paint is above the limit, when fewer outcomes than that are handled, or
// when two frames of the tab are more than 100 ms apart.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/cupline/cupline/bench/internal/desk"
	"github.com/cupline/cupline/bench/internal/platform"
	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/local/packages"
	"github.com/cupline/cupline/local/services"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/identity"
	"github.com/cupline/cupline/store/registry"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "console:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("console", flag.ContinueOnError)
	flags.SetOutput(progress)
	letters := flags.Int("letters", 1_000_000, "dead letters in the database")
	loads := flags.Int("loads", 9, "how often each page is loaded")
	limit := flags.Duration("limit", 300*time.Millisecond, "that the median of each page's first paint is held to")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if err := packages.Ensure(ctx, progress, packages.Program("node"), packages.Program("npm"), packages.Program("chromium")); err != nil {
		return err
	}
	root, err := services.Root()
	if err != nil {
		return err
	}
	// The tab first: nothing else runs yet.
	return errors.Join(tab(ctx, root, out, progress), pages(ctx, root, *letters, *loads, *limit, out, progress))
}

// tab measures the client in a tab of its own.
func tab(ctx context.Context, root string, out, progress io.Writer) error {
	client := filepath.Join(root, "clients", "js")
	if err := command(ctx, client, progress, nil, "npm", "ci", "--no-fund", "--no-audit"); err != nil {
		return err
	}
	return command(ctx, client, out, nil, "npm", "run", "--silent", "bench:browser")
}

// pages measures the console's pages.
func pages(ctx context.Context, root string, letters, loads int, limit time.Duration, out, progress io.Writer) (err error) {
	p, err := platform.Start(ctx, platform.Config{Root: root, Folder: filepath.Join(root, ".run", "bench-console"), Progress: progress})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Stop(context.WithoutCancel(ctx))) }()
	key, letter, err := fill(ctx, p.DatabaseURL(), letters, progress)
	if err != nil {
		return err
	}
	tests := filepath.Join(root, "console")
	if err := command(ctx, tests, progress, nil, "npm", "ci", "--no-fund", "--no-audit"); err != nil {
		return err
	}
	return command(ctx, tests, out, []string{
		"CUPLINE_API_URL=http://" + p.API, "CUPLINE_KEY=" + key, "LETTER=" + letter, "LOADS=" + strconv.Itoa(loads),
		"LIMIT_MS=" + strconv.FormatInt(limit.Milliseconds(), 10),
	}, "node", "test/speed.js")
}

// fill makes the letters, a key of their tenant that may see everything, and names one of the letters.
func fill(ctx context.Context, url string, letters int, progress io.Writer) (key, letter string, err error) {
	pool, err := postgres.Open(ctx, postgres.Config{URL: url, MaxConns: 4, ApplicationName: "cupline-bench", StatementTimeout: 10 * time.Minute})
	if err != nil {
		return "", "", err
	}
	defer pool.Close()
	ids := identity.New(pool)
	if _, err := ids.PutTenant(ctx, desk.Tenant, ""); err != nil {
		return "", "", err
	}
	key, _, err = ids.CreateKey(ctx, identity.NewKey{Tenant: desk.Tenant, Client: "ann", Scopes: []string{
		"commands:send", "replies:read", "devices:read", "ops:read", "ops:write", "ops:platform",
	}})
	if err != nil {
		return "", "", err
	}
	if err := register(ctx, pool); err != nil {
		return "", "", err
	}
	err = desk.Fill(ctx, pool, letters, func(format string, values ...any) { fmt.Fprintf(progress, format+"\n", values...) })
	if err != nil {
		return "", "", err
	}
	if err := pool.QueryRow(ctx, `select letter_id::text from dead_letters where tenant = $1 order by died_at desc limit 1`, desk.Tenant).Scan(&letter); err != nil {
		return "", "", fmt.Errorf("find a letter: %w", err)
	}
	return key, letter, nil
}

// registered is how many of the letters' devices there are still: the first page of the list, and some more.
const registered = 250

// register makes devices that the pages can show.
func register(ctx context.Context, pool *postgres.Pool) error {
	things := registry.New(pool)
	kind := device.Type{Tenant: desk.Tenant, Name: "type-0", Lane: topology.DefaultLane().Name, Driver: "mqtt"}
	if _, err := things.PutType(ctx, kind); err != nil {
		return fmt.Errorf("make a device type: %w", err)
	}
	for i := range registered {
		d := device.Device{Tenant: desk.Tenant, ID: fmt.Sprintf("device-%d", i), Type: kind.Name, Labels: map[string]string{"room": strconv.Itoa(i % 20)}}
		if _, err := things.PutDevice(ctx, d); err != nil {
			return fmt.Errorf("make a device: %w", err)
		}
	}
	return nil
}

func command(ctx context.Context, folder string, out io.Writer, env []string, name string, arguments ...string) error {
	c := exec.CommandContext(ctx, name, arguments...)
	c.Dir, c.Env, c.Stdout, c.Stderr = folder, append(os.Environ(), env...), out, os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
