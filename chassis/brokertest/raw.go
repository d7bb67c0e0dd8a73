package brokertest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/cupline/cupline/chassis/broker"
)

// PublishAs publishes one transient message with a connection of its own, as the user of the URL. It returns nil once it
// is confirmed, and [broker.ErrForbidden] where that user has no right to it. Publishers of chassis/broker would not tell:
// to them a refusal is one of the ways in which a link dies.
func PublishAs(t testing.TB, url, exchange, key string) error {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatalf("connect to publish: %v", err)
	}
	defer func() { _ = conn.Close() }()
	ch, err := conn.Channel()
	if err == nil {
		err = ch.Confirm(false)
	}
	if err != nil {
		t.Fatalf("open a channel to publish: %v", err)
	}
	closes := ch.NotifyClose(make(chan *amqp.Error, 1))
	confirm, err := ch.PublishWithDeferredConfirm(exchange, key, false, false, amqp.Publishing{Body: []byte("{}")})
	if err != nil {
		t.Fatalf("publish: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	select {
	case <-confirm.Done():
		if confirm.Acked() {
			return nil
		}
		select { // a channel that closes nacks what it has
		case err = <-closes:
		case <-ctx.Done():
			return errors.New("refused by the queue")
		}
	case reason := <-closes:
		err = reason
	case <-ctx.Done():
		t.Fatalf("publish to %s: neither confirmed nor refused", exchange)
	}
	var refusal *amqp.Error
	if errors.As(err, &refusal) && refusal.Code == amqp.AccessRefused {
		return fmt.Errorf("publish to %s: %w: %w", exchange, broker.ErrForbidden, err)
	}
	return err
}
