// Package connect reads from the environment where things are, and connects to them.
package connect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	cupline "github.com/cupline/cupline/clients/go"
)

// Variables that say where things are.
const (
	APIURL        = "CUPLINE_API_URL"
	PushURL       = "CUPLINE_PUSH_URL"
	Key           = "CUPLINE_KEY"
	AMQPURL       = "AMQP_URL"
	ManagementURL = "RABBITMQ_MANAGEMENT_URL"
	DatabaseURL   = "DATABASE_URL"
)

// Variables is the list of them, for help.
const Variables = `Settings, from the environment (` + "`. .run/cupline.env`" + ` sets them all after ` + "`make up`" + `):
  CUPLINE_API_URL          the API, http://host:port
  CUPLINE_PUSH_URL         the pusher, ws://host:port
  CUPLINE_KEY              the API key
  DATABASE_URL             Postgres, for operators' commands: lanes, migrate, keys --database, topology, doctor
  AMQP_URL                 the broker, for topology apply
  RABBITMQ_MANAGEMENT_URL  its management API, http://user:password@host:port, for topology check, doctor`

// Require returns the values of variables, or one error that names all that are missing.
func Require(c *console.Console, names ...string) ([]string, error) {
	values := make([]string, len(names))
	var problems []error
	for i, name := range names {
		if values[i] = c.Getenv(name); values[i] == "" {
			problems = append(problems, fmt.Errorf("%s is not set", name))
		}
	}
	if len(problems) > 0 {
		problems = append(problems, errors.New("after `make up`, `. .run/cupline.env` sets it in this shell"))
		return nil, exit.With(exit.Usage, errors.Join(problems...))
	}
	return values, nil
}

// Client talks to the API, and to the pusher where that is set.
func Client(c *console.Console) (*cupline.Client, error) {
	values, err := Require(c, APIURL, Key)
	if err != nil {
		return nil, err
	}
	return client(cupline.Config{URL: values[0], Key: values[1], PushURL: c.Getenv(PushURL)})
}

// Pushed talks to both.
func Pushed(c *console.Console) (*cupline.Client, error) {
	values, err := Require(c, APIURL, Key, PushURL)
	if err != nil {
		return nil, err
	}
	return client(cupline.Config{URL: values[0], Key: values[1], PushURL: values[2]})
}

func client(cfg cupline.Config) (*cupline.Client, error) {
	made, err := cupline.New(cfg)
	if err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	return made, nil
}

// Database opens the database; close it when done.
func Database(ctx context.Context, c *console.Console) (*postgres.Pool, error) {
	values, err := Require(c, DatabaseURL)
	if err != nil {
		return nil, err
	}
	pool, err := postgres.Open(ctx, postgres.Config{URL: values[0], MaxConns: 2, ApplicationName: "cupline-cli"})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", DatabaseURL, err)
	}
	return pool, nil
}

// Broker connects to the broker; stop the link when done.
func Broker(ctx context.Context, c *console.Console) (*broker.Link, error) {
	values, err := Require(c, AMQPURL)
	if err != nil {
		return nil, err
	}
	return Link(ctx, values[0])
}

// connectLimit bounds the wait for the broker.
const connectLimit = 15 * time.Second

// Link connects to the broker at an AMQP URL.
func Link(ctx context.Context, url string) (*broker.Link, error) {
	link := broker.NewLink(broker.Config{URL: url, Name: "cupline-cli", Log: zap.NewNop()})
	if err := link.Start(ctx); err != nil {
		return nil, fmt.Errorf("connect to the broker: %w", err)
	}
	waiting, cancel := context.WithTimeoutCause(ctx, connectLimit, fmt.Errorf("not there after %s", connectLimit))
	defer cancel()
	if err := link.Wait(waiting); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to the broker: %w", errors.Join(err, link.Status().LastError)), link.Stop(context.WithoutCancel(ctx)))
	}
	return link, nil
}
