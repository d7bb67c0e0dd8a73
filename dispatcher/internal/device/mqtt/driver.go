package mqtt

import (
	"context"
	"errors"
	"time"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/telemetry"
	"github.com/cupline/cupline/dispatcher/internal/dispatch"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/schema/topology"
)

// Publisher sends messages to the broker and reports each confirm, as chassis/broker's does.
type Publisher interface {
	Submit(ctx context.Context, m message.Message, done func(error))
}

// Link is a connection that can be waited for.
type Link interface {
	WaitReady(ctx context.Context) error
}

// Config of a Driver.
type Config struct {
	// Dispatcher is this process's id in topics. It must be a valid id that no other
	// process has, nor had a moment ago.
	Dispatcher string
	Publisher  Publisher
	// Publishing is the link that Publisher works on, Answers the one whose exclusive
	// queue takes the devices' answers: it is up only while that queue is there.
	Publishing, Answers Link
	Metrics             *Metrics
}

// Driver is a dispatch.Driver. It is safe for concurrent use.
type Driver struct {
	cfg   Config
	calls calls
}

// New makes a driver.
func New(cfg Config) *Driver {
	return &Driver{cfg: cfg, calls: calls{waiting: make(map[call]chan answer), devices: make(map[dispatch.Address]int)}}
}

// Check is always content: a device on MQTT needs no address.
func (d *Driver) Check(dispatch.Target) error { return nil }

// Execute publishes the call's request and waits for its answer.
func (d *Driver) Execute(ctx context.Context, c *dispatch.Call) (jsonrpc.Response, error) {
	key := call{c.Tenant, c.Device, c.ID}
	answers, ok := d.calls.expect(key)
	if !ok {
		return jsonrpc.Response{}, &dispatch.Failure{
			Reason: outcome.DeviceBusy, Detail: "a command of the same command id is in flight",
		}
	}
	defer d.calls.forget(key)
	for {
		a, err := d.try(ctx, c, answers)
		switch {
		case err == nil:
			return a.response, a.problem(c)
		case !errors.Is(err, errUnsent):
			return jsonrpc.Response{}, err
		}
		// Nothing was sent: trying when the link is back repeats nothing. The pause keeps
		// a link that comes and goes from spinning here.
		if !pause(ctx, resendPause) {
			return jsonrpc.Response{}, unsentInTime()
		}
	}
}

const resendPause = 20 * time.Millisecond

// errUnsent tells that the broker did not get the request, for sure.
var errUnsent = errors.New("not sent")

// try sends the request once and waits for the answer.
func (d *Driver) try(ctx context.Context, c *dispatch.Call, answers <-chan answer) (answer, error) {
	// A request must not go out while there is no queue for its answer.
	if d.cfg.Answers.WaitReady(ctx) != nil || d.cfg.Publishing.WaitReady(ctx) != nil {
		return answer{}, unsentInTime()
	}
	left := c.Left().Truncate(time.Millisecond)
	if left <= 0 {
		return answer{}, dispatch.TooLate()
	}
	sent := make(chan error, 1)
	d.cfg.Publisher.Submit(ctx, d.request(c, left), func(err error) { sent <- err })
	for {
		select {
		case a := <-answers:
			return a, nil
		case err := <-sent:
			if err := meaning(err); err != nil {
				return answer{}, err
			}
			sent = nil
		case <-ctx.Done():
			return answer{}, &dispatch.Failure{Reason: outcome.NoAnswer}
		}
	}
}

// request is the message for the device.
func (d *Driver) request(c *dispatch.Call, left time.Duration) message.Message {
	// int8, not an unsigned byte: that crashes the device's session on RabbitMQ 3.10.
	headers := map[string]any{"x-mqtt-publish-qos": int8(0)}
	return message.Message{
		Exchange:    topology.DeviceExchange,
		Key:         device.CommandsKey(c.Tenant, c.Device, d.cfg.Dispatcher),
		Mandatory:   true,
		Transient:   true,
		ID:          c.ID,
		ContentType: envelope.ContentType,
		Expiration:  left,
		// A device on MQTT 5 gets the trace as user properties, others do not get it.
		Headers: telemetry.WithTrace(headers, c.Trace.Parent, c.Trace.State),
		Body:    c.Request,
	}
}

// meaning is what a publish that did not succeed says about the call; nil when the answer
// is to be waited for all the same.
func meaning(err error) error {
	switch {
	case err == nil, errors.Is(err, broker.ErrInDoubt):
		return nil
	case errors.Is(err, broker.ErrUnroutable):
		return &dispatch.Failure{Reason: outcome.DeviceOffline}
	case errors.Is(err, broker.ErrRefused):
		return &dispatch.Failure{Reason: outcome.DeviceBusy, Detail: "the device's queue at the broker takes no more"}
	case errors.Is(err, broker.ErrUnavailable), errors.Is(err, broker.ErrBlocked):
		return errUnsent
	}
	return &dispatch.Failure{Reason: outcome.NoAnswer, Detail: "not sent: " + err.Error()}
}

func unsentInTime() *dispatch.Failure {
	return &dispatch.Failure{Reason: outcome.NoAnswer, Detail: "not sent: no link to the broker within the method's timeout"}
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
