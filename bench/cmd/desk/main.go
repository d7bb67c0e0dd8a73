// Command desk measures the operators' desk on a private, durable Postgres: how long it takes to answer what is asked of a
// million dead letters, by every field, pair of fields, order and group.
//
//	desk [--letters N] [--asks N] [--limit 100ms] [--database URL]
//	desk --settle [--rounds N] [--backlog N]
//
// With --settle it measures in pairs what that costs the recorder, letters settled a second with and without the indexes and counts; and
// then what the janitor's work costs it. It exits with 1 when the 95th percentile of any question is above the limit.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	neturl "net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/cupline/cupline/bench/internal/desk"
	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/local/packages"
	private "github.com/cupline/cupline/local/postgres"
	"github.com/cupline/cupline/local/services"
	"github.com/cupline/cupline/migrations"
	"github.com/cupline/cupline/store"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "desk:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string, out, progress io.Writer) (err error) {
	reach := desk.Reach{Out: out, Progress: progress}
	flags := flag.NewFlagSet("desk", flag.ContinueOnError)
	flags.SetOutput(progress)
	flags.IntVar(&reach.Letters, "letters", 1_000_000, "dead letters of the tenant that is asked for")
	flags.IntVar(&reach.Asks, "asks", 40, "how often each question is asked")
	flags.DurationVar(&reach.Limit, "limit", 100*time.Millisecond, "that the 95th percentile of the database's own time for each question is held to")
	settle := flags.Bool("settle", false, "measure what reach costs the recorder, instead")
	rounds := flags.Int("rounds", 5, "pairs of each, with --settle; a pair takes 10 s")
	backlog := flags.Int("backlog", 200_000, "letters that the janitor has to delete, with --settle")
	url := flags.String("database", "", "the `URL` of a database to use and fill, and to keep; a private one when not given")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if *url == "" {
		made, discard, err := database(ctx, progress)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, discard()) }()
		*url = made
	}
	if *settle {
		m := desk.Settling{Rounds: *rounds, Length: 5 * time.Second, Workers: 8, Out: out}
		return compare(ctx, &m, *url, *backlog, progress)
	}
	if _, err := migrations.Up(ctx, *url); err != nil {
		return fmt.Errorf("make the tables: %w", err)
	}
	pool, err := postgres.Open(ctx, postgres.Config{URL: *url, MaxConns: 8, ApplicationName: "cupline-bench", StatementTimeout: 10 * time.Minute})
	if err != nil {
		return err
	}
	defer pool.Close()
	asking, err := asAPI(ctx, *url)
	if err != nil {
		return err
	}
	defer asking.Close()
	return reach.Measure(ctx, pool, asking)
}

// asAPI logs in as api does: as a user of its own, behind row-level security.
func asAPI(ctx context.Context, url string) (*postgres.Pool, error) {
	own, err := neturl.Parse(url)
	if err != nil {
		return nil, errors.New("the database URL is not valid")
	}
	login := migrations.Login{Name: "desk_bench", Password: rand.Text(), Roles: []migrations.Role{migrations.API}}
	if err := migrations.Admit(ctx, url, login); err != nil {
		return nil, err
	}
	own.User = neturl.UserPassword(login.Name, login.Password)
	return postgres.Open(ctx, postgres.Config{URL: own.String(), MaxConns: 1, ApplicationName: "cupline-bench", RowScope: store.TenantSetting})
}

// database starts a private one, which is gone afterwards.
func database(ctx context.Context, progress io.Writer) (url string, discard func() error, err error) {
	root, err := services.Root()
	if err != nil {
		return "", nil, err
	}
	if err := packages.Ensure(ctx, progress, packages.Database()); err != nil {
		return "", nil, err
	}
	cfg := private.Config{Base: filepath.Join(root, ".run", "bench-desk"), Progress: progress}
	if err := private.Discard(ctx, cfg); err != nil {
		return "", nil, err
	}
	instance, err := private.Start(ctx, cfg)
	if err != nil {
		return "", nil, err
	}
	return instance.URL(), func() error {
		ending := context.WithoutCancel(ctx)
		return errors.Join(instance.Stop(ending), private.Discard(ending, cfg))
	}, nil
}

// compare measures in three databases beside the one at url.
func compare(ctx context.Context, m *desk.Settling, url string, backlog int, progress io.Writer) error {
	owner, err := postgres.Open(ctx, postgres.Config{URL: url, MaxConns: 1})
	if err != nil {
		return err
	}
	defer owner.Close()
	var pools []*postgres.Pool
	for _, name := range []string{"settle_now", "settle_before", "settle_cleaned"} {
		if _, err := owner.Exec(ctx, "drop database if exists "+name); err != nil {
			return fmt.Errorf("make a database: %w", err)
		}
		if _, err := owner.Exec(ctx, "create database "+name); err != nil {
			return fmt.Errorf("make a database: %w", err)
		}
		beside, err := neturl.Parse(url)
		if err != nil {
			return errors.New("the database URL is not valid")
		}
		beside.Path = "/" + name
		if _, err := migrations.Up(ctx, beside.String()); err != nil {
			return fmt.Errorf("make the tables: %w", err)
		}
		pool, err := postgres.Open(ctx, postgres.Config{URL: beside.String(), MaxConns: int32(m.Workers + 1), StatementTimeout: 10 * time.Minute})
		if err != nil {
			return err
		}
		defer pool.Close()
		pools = append(pools, pool)
	}
	if err := m.Measure(ctx, pools[0], pools[1]); err != nil {
		return err
	}
	return m.Disturb(ctx, pools[2], backlog, func(format string, values ...any) { fmt.Fprintf(progress, format+"\n", values...) })
}
