package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/cupline/cupline/local/packages"
	"github.com/cupline/cupline/local/place"
	"github.com/cupline/cupline/local/postgres"
	"github.com/cupline/cupline/local/rabbitmq"
)

// stopLimit bounds stopping both; each is killed well before.
const stopLimit = time.Minute

// pair is a broker and a database in one folder.
type pair struct {
	broker   *rabbitmq.Instance
	database *postgres.Instance
}

func configs(base string, progress io.Writer) (rabbitmq.Config, postgres.Config) {
	return rabbitmq.Config{Base: base, Progress: progress},
		postgres.Config{Base: base, NoSync: true, Progress: progress}
}

// ensure installs what the pair needs, and the programs named in install.
func ensure(ctx context.Context, install string) error {
	needs := []packages.Need{packages.Broker(), packages.Database()}
	for name := range strings.SplitSeq(install, ",") {
		if name = strings.TrimSpace(name); name != "" {
			needs = append(needs, packages.Program(name))
		}
	}
	return packages.Ensure(ctx, os.Stderr, needs...)
}

// startPair starts both at once; when one does not start, neither is left.
func startPair(ctx context.Context, base string) (pair, error) {
	broker, database := configs(base, os.Stderr)
	var both pair
	var brokerErr, databaseErr error
	started := make(chan struct{})
	go func() {
		defer close(started)
		both.database, databaseErr = postgres.Start(ctx, database)
	}()
	both.broker, brokerErr = rabbitmq.Start(ctx, broker)
	<-started
	if err := errors.Join(brokerErr, databaseErr); err != nil {
		return pair{}, errors.Join(err, both.stop())
	}
	return both, nil
}

// openPair finds both as they are.
func openPair(base string) (pair, error) {
	if _, err := os.Stat(base); err != nil {
		return pair{}, fmt.Errorf("open the testbed: %w", err)
	}
	broker, database := configs(base, io.Discard)
	var both pair
	var err error
	if both.broker, err = rabbitmq.Open(broker); err != nil {
		return pair{}, err
	}
	if both.database, err = postgres.Open(database); err != nil {
		return pair{}, err
	}
	return both, nil
}

func (p pair) running() bool {
	return p.broker.Running() && p.database.Running()
}

// stop stops both, whatever has become of the run's own context.
func (p pair) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	var err error
	if p.broker != nil {
		err = p.broker.Stop(ctx)
	}
	if p.database != nil {
		err = errors.Join(err, p.database.Stop(ctx))
	}
	return err
}

// exports are the variables that tests read, NAME=value each.
func (p pair) exports() []string {
	return []string{
		"CUPLINE_TEST_AMQP_URL=" + p.broker.URL(),
		"CUPLINE_TEST_MANAGEMENT_URL=" + p.broker.ManagementURL(),
		"CUPLINE_TEST_MQTT_ADDR=" + p.broker.MQTTAddress(),
		"CUPLINE_TEST_DATABASE_URL=" + p.database.URL(),
	}
}

// remove deletes both services' files.
func remove(base string) error {
	return errors.Join(place.Remove(base, "rabbitmq"), place.Remove(base, "postgres"), removeEmpty(base))
}

func removeEmpty(base string) error {
	if err := os.RemoveAll(base); err != nil {
		return fmt.Errorf("delete the testbed's folder: %w", err)
	}
	return nil
}
