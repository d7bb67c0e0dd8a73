package dispatch

import (
	"context"
	"errors"
	"time"

	"github.com/cupline/cupline/chassis/failpoint"
	"github.com/cupline/cupline/chassis/tracing"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/outcome"
)

// execute runs a command that is ours since started, in database time.
func (e *Engine) execute(ctx context.Context, r *run, started time.Time) (Verdict, error) {
	c := r.command
	e.cfg.Metrics.waited(c, started)
	if !r.again && started.After(c.Deadline) {
		return r.bury(outcome.Expired, ""), nil
	}
	at := Address{c.Tenant, c.Device}
	if r.crowded {
		return r.bury(outcome.DeviceBusy, "the limit per tenant is reached"), nil
	}
	if !e.limits.take(at) {
		return r.bury(outcome.DeviceBusy, "the limit per device is reached"), nil
	}
	defer e.limits.free(at)
	answer, err := e.call(ctx, r, started)
	if ctx.Err() != nil && err != nil {
		return Verdict{}, interrupted(context.Cause(ctx))
	}
	if err != nil {
		failure := failureOf(err)
		e.cfg.Metrics.failures.WithLabelValues(c.Driver, string(failure.Reason)).Inc()
		return r.bury(failure.Reason, failure.Detail), nil
	}
	failpoint.Pass(failpoint.AfterAnswer)
	return e.decide(ctx, r, answer)
}

// call sends the command to its device and waits for the answer within what is left of
// the method's timeout.
func (e *Engine) call(ctx context.Context, r *run, started time.Time) (jsonrpc.Response, error) {
	c := r.command
	left := e.countdown(started, c.Timeout)
	ctx, cancel := context.WithTimeout(ctx, left())
	defer cancel()
	executing := e.cfg.Metrics.executing.WithLabelValues(c.Lane)
	executing.Inc()
	defer executing.Dec()
	came := tracing.Context(c.Trace)
	span := e.cfg.Tracer.Start(tracing.Client, "call device", came)
	defer span.End()
	span.Set("cupline.driver", c.Driver)
	span.Set("rpc.system", "jsonrpc")
	span.Set("rpc.method", c.Request.Method)
	began := time.Now()
	answer, err := r.driver.Execute(ctx, &Call{
		Target:    r.target,
		ID:        c.ID.String(),
		Request:   c.Request.WithID(idLiteral(c.ID)),
		Left:      left,
		MaxAnswer: e.cfg.MaxAnswer,
		Trace:     envelope.Trace(span.Context(came)),
	})
	if err != nil {
		span.Fail(err.Error())
	}
	e.cfg.Metrics.executed(c, time.Since(began), answer, err)
	return answer, err
}

// countdown tells what is left of a timeout that runs since started. It asks two clocks
// and believes the stricter one: database time, since the claim's answer may have been long
// on its way; and this process's own, in case that offset is wrong. Both have gone on when
// the process was stopped, other than its timers.
func (e *Engine) countdown(started time.Time, timeout time.Duration) func() time.Duration {
	ends, monotonic := started.Add(timeout), time.Now().Add(timeout)
	return func() time.Duration {
		return min(ends.Sub(e.cfg.Clock.Now()), time.Until(monotonic))
	}
}

// failureOf reads a driver's error.
func failureOf(err error) *Failure {
	var failure *Failure
	if errors.As(err, &failure) {
		return failure
	}
	return &Failure{Reason: outcome.NoAnswer, Detail: err.Error()}
}

// decide puts the client's id back into the answer and writes it into the ledger; the
// verdict is what the row says then.
func (e *Engine) decide(ctx context.Context, r *run, answer jsonrpc.Response) (Verdict, error) {
	c := r.command
	body, err := forClient(c, answer, e.cfg.MaxAnswer)
	if err != nil {
		return r.bury(outcome.BadAnswer, err.Error()), nil
	}
	word := answered(c, answer)
	if c.Unledgered {
		decided := Decided{At: e.cfg.Clock.Now(), Origin: envelope.OriginDevice, Body: body}
		return Verdict{Outcome: c.Outcome(&decided), Ending: c.Ended(word, decided.At)}, nil
	}
	row, err := e.ask(ctx, "decide", func() (Row, error) {
		row, err := e.cfg.Ledger.Decide(ctx, c, r.token, body)
		if err == nil && row.CommandID == c.ID && row.Decided == nil {
			err = errStillOpen
		}
		return row, err
	})
	if err != nil {
		return e.refused(r, err)
	}
	verdict := settle(c, judge(c, r.token, &row, e.cfg.Clock.Now()), &row)
	if ours := row.CommandID == c.ID && row.Token == r.token; ours && row.Decided != nil && row.Decided.Origin == envelope.OriginDevice {
		verdict.Ending = c.Ended(word, row.Decided.At)
	}
	return verdict, nil
}

// answered is the word for an ending by the device's answer.
func answered(c *Command, answer jsonrpc.Response) string {
	switch {
	case c.OneWay():
		return EndOneWay
	case answer.Failed:
		return EndError
	}
	return EndResult
}

// errStillOpen keeps a ledger that did not do what it said from losing an answer.
var errStillOpen = errors.New("the row is still open after its decision")

// forClient is the answer as the client gets it: its own id bytes, on one line.
func forClient(c *Command, answer jsonrpc.Response, limit int) ([]byte, error) {
	if c.OneWay() {
		return []byte{}, nil
	}
	line, err := jsonrpc.OneLine(answer.WithID(c.Request.ID.Raw), limit+len(c.Request.ID.Raw))
	if err != nil {
		return nil, err
	}
	return line, nil
}
