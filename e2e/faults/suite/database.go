package suite

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cupline/cupline/e2e/faults/link"
	"github.com/cupline/cupline/e2e/faults/schedule"
)

// inDatabase is the target of faults in a database that runs.
const inDatabase = "inside the database"

// databaseBreakers let the database run, and take something away from it.
func (s *site) databaseBreakers() map[schedule.Action]breaker {
	return map[schedule.Action]breaker{
		schedule.DatabaseSlow: s.slowDatabase, schedule.DatabaseReadOnly: s.readOnly,
		schedule.DatabaseCrowded: s.crowd, schedule.DatabaseFull: s.fillDisk,
		schedule.DatabaseLogFull: s.fillLog,
	}
}

// slowDatabase delays every link to the database.
func (s *site) slowDatabase(ctx context.Context, f schedule.Fault) error {
	set := func(mode link.Mode) {
		for name, l := range s.links {
			if strings.HasSuffix(name, toDatabase) {
				l.Set(mode)
			}
		}
	}
	set(link.Slow)
	pause(ctx, f.For)
	set(link.Whole)
	return nil
}

// administer runs statements on a connection of the superuser, that may write.
func (s *site) administer(ctx context.Context, statements ...string) error {
	connection, err := s.superuser(ctx)
	if err != nil {
		return err
	}
	defer connection.Close(ctx)
	for _, statement := range statements {
		if _, err := connection.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

func (s *site) superuser(ctx context.Context) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(s.Database.URL())
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["default_transaction_read_only"] = "off"
	config.RuntimeParams["application_name"] = crowdName
	connection, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	return connection, nil
}

// readOnly makes it what a standby is, or a server whose disk an operator protects.
func (s *site) readOnly(ctx context.Context, f schedule.Fault) error {
	whole := context.WithoutCancel(ctx)
	if err := s.administer(whole, "alter system set default_transaction_read_only = on", "select pg_reload_conf()"); err != nil {
		return err
	}
	pause(ctx, f.For)
	return s.administer(whole, "alter system reset default_transaction_read_only", "select pg_reload_conf()")
}

// crowd takes every connection that there is, those of the services too.
func (s *site) crowd(ctx context.Context, f schedule.Fault) error {
	whole := context.WithoutCancel(ctx)
	var mine crowd
	defer func() { mine.leave(whole) }()
	first, err := s.superuser(whole)
	if err != nil {
		return err
	}
	mine = append(mine, first)
	for range 2 { // the second time takes what the services had
		if err := s.join(whole, &mine); err != nil {
			return err
		}
		_, err := first.Exec(whole, `select pg_terminate_backend(pid) from pg_stat_activity
			where backend_type = 'client backend' and application_name <> $1`, crowdName)
		if err != nil {
			return fmt.Errorf("end the services' connections: %w", err)
		}
	}
	if err := s.join(whole, &mine); err != nil {
		return err
	}
	pause(ctx, f.For)
	return nil
}

// crowdName is what the crowd's connections are called.
const crowdName = "faults crowd"

// crowd is connections that are held.
type crowd []*pgx.Conn

func (c crowd) leave(ctx context.Context) {
	for _, member := range c {
		_ = member.Close(ctx) // it is to be gone, in whatever way
	}
}

// tooManyConnections is what Postgres says when there is none left.
const tooManyConnections = "53300"

// join connects until there is no connection left.
func (s *site) join(ctx context.Context, c *crowd) error {
	config, err := pgx.ParseConfig(s.Database.URL())
	if err != nil {
		return err
	}
	config.RuntimeParams["application_name"] = crowdName
	for {
		member, err := pgx.ConnectConfig(ctx, config.Copy())
		var refused *pgconn.PgError
		switch {
		case errors.As(err, &refused) && refused.Code == tooManyConnections:
			return nil
		case err != nil:
			return fmt.Errorf("take the database's connections: %w", err)
		}
		*c = append(*c, member)
	}
}
