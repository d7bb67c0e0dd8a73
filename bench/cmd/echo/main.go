// Command echo is a yardstick of the bench: an Echo handler that publishes what is posted with a confirm, on a channel of
// amqp091-go, answers 202 then, and does nothing else.
//
//	echo LISTEN QUEUE
//
// The broker's address is in AMQP_URL. It declares the quorum queue, says "ready", and ends at SIGTERM.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/labstack/echo/v4"
	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	headLimit = 10 * time.Second
	endLimit  = 10 * time.Second
	mostBytes = 64 << 10
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv("AMQP_URL"), os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string, broker string, out io.Writer) error {
	if len(arguments) != 2 {
		return errors.New("usage: echo LISTEN QUEUE")
	}
	conn, err := amqp.Dial(broker)
	if err != nil {
		return fmt.Errorf("connect to the broker: %w", err)
	}
	defer conn.Close()
	d := &door{queue: arguments[1]}
	if err := d.open(conn); err != nil {
		return err
	}
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.POST("/v1/devices/:device/commands", d.accept)
	e.Server.ReadHeaderTimeout = headLimit
	if e.Listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", arguments[0]); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Start("") }()
	fmt.Fprintln(out, "ready")
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endLimit)
	defer cancel()
	err = e.Shutdown(ending)
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// door publishes on one channel.
type door struct {
	queue string
	mu    sync.Mutex // one goroutine publishes at a time
	ch    *amqp.Channel
}

func (d *door) open(conn *amqp.Connection) (err error) {
	if d.ch, err = conn.Channel(); err != nil {
		return fmt.Errorf("open a channel: %w", err)
	}
	if _, err := d.ch.QueueDeclare(d.queue, true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
		return fmt.Errorf("declare the queue: %w", err)
	}
	if err := d.ch.Confirm(false); err != nil {
		return fmt.Errorf("ask for confirms: %w", err)
	}
	return nil
}

func (d *door) accept(c echo.Context) error {
	ctx := c.Request().Context()
	body, err := io.ReadAll(io.LimitReader(c.Request().Body, mostBytes))
	if err != nil {
		return err
	}
	confirm, err := d.publish(ctx, body)
	if err != nil {
		return err
	}
	confirmed, err := confirm.WaitContext(ctx)
	if err != nil || !confirmed {
		return echo.NewHTTPError(http.StatusServiceUnavailable, "not confirmed")
	}
	return c.JSONBlob(http.StatusAccepted, []byte(`{}`))
}

func (d *door) publish(ctx context.Context, body []byte) (*amqp.DeferredConfirmation, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ch.PublishWithDeferredConfirmWithContext(ctx, "", d.queue, true, false,
		amqp.Publishing{DeliveryMode: amqp.Persistent, ContentType: "application/json", Body: body})
}
