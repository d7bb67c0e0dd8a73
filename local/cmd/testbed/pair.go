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
	var brokerErr, databaseErr error
	if p.database != nil {
		databaseErr = p.database.Stop(ctx)
	}
	if p.broker != nil {
		brokerErr = p.broker.Stop(ctx)
	}
	return errors.Join(brokerErr, databaseErr)
}

// kill ends both at once, for data that is to be deleted.
func (p pair) kill() error {
	var brokerErr, databaseErr error
	if p.database != nil {
		databaseErr = p.database.Kill()
	}
	if p.broker != nil {
		brokerErr = p.broker.Kill()
	}
	return errors.Join(brokerErr, databaseErr)
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

// discard stops whatever runs in a folder and deletes it with its data, whatever has become of the run's own context.
func discard(base string) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	broker, database := configs(base, io.Discard)
	if err := errors.Join(rabbitmq.Discard(ctx, broker), postgres.Discard(ctx, database)); err != nil {
		return err
	}
	if err := os.RemoveAll(base); err != nil {
		return fmt.Errorf("delete the testbed's folder: %w", err)
	}
	return nil
}
