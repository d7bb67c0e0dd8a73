package bare

import (
	"context"
	"fmt"
	"strconv"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Names of what the pipeline needs on the broker.
const (
	firstQueue  = "bench.first"
	secondQueue = "bench.second"
	exchange    = "bench.replies"
)

// key is the routing key of one client; as long as a platform's is.
func key(client int) string { return "bench.client-" + strconv.Itoa(client) }

// Declare makes the queues, the exchange and a binding for each client. Pipelines need it once, before the first.
func Declare(ctx context.Context, url string, clients int) error {
	conn, err := dial(ctx, url, "bench declare")
	if err != nil {
		return err
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("declare the bare pipeline: %w", err)
	}
	for _, name := range []string{firstQueue, secondQueue} {
		if _, err := ch.QueueDeclare(name, true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
			return fmt.Errorf("declare the bare pipeline: queue %s: %w", name, err)
		}
	}
	if err := ch.ExchangeDeclare(exchange, amqp.ExchangeTopic, true, false, false, false, nil); err != nil {
		return fmt.Errorf("declare the bare pipeline: exchange %s: %w", exchange, err)
	}
	for client := range clients {
		if ctx.Err() != nil {
			return fmt.Errorf("declare the bare pipeline: %w", context.Cause(ctx))
		}
		if err := ch.QueueBind(secondQueue, key(client), exchange, false, nil); err != nil {
			return fmt.Errorf("declare the bare pipeline: bind client %d: %w", client, err)
		}
	}
	return nil
}

// Remove deletes a queue with what is in it.
func Remove(ctx context.Context, url, queue string) error {
	conn, err := dial(ctx, url, "bench declare")
	if err != nil {
		return err
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("delete the queue %s: %w", queue, err)
	}
	if _, err := ch.QueueDelete(queue, false, false, false); err != nil {
		return fmt.Errorf("delete the queue %s: %w", queue, err)
	}
	return nil
}
