package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/api/internal/intake"
	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/chassis/tracing"
	"github.com/cupline/cupline/schema/envelope"
)

// Acceptor takes posts of commands.
type Acceptor interface {
	Accept(ctx context.Context, p intake.Post) (results []intake.Result, batch bool, err error)
}

const (
	ttlHeader = "Cupline-TTL"
	// ttlKept is the form in which net/http keeps it: Get makes no object then.
	ttlKept = "Cupline-Ttl"
)

func (s *Server) sendCommands(c echo.Context, who auth.Principal) error {
	header := c.Request().Header
	ttl, err := intake.ParseTTL(header.Get(ttlKept))
	if err != nil {
		return asProblem(err).At(ttlHeader)
	}
	body, err := read(c, maxCommands)
	if err != nil {
		return err
	}
	came := tracing.Context(trace(header))
	span := s.cfg.Tracer.Start(tracing.Server, "POST commands", came)
	defer span.End()
	went := envelope.Trace(span.Context(came))
	c.Set(traceKey, went.Parent)
	results, batch, err := s.cfg.Acceptor.Accept(c.Request().Context(), intake.Post{
		Tenant: who.Tenant, Client: who.Client, Reach: who.Reach, Device: param(c, "device"), Body: body, TTL: ttl,
		Trace: went,
	})
	describePost(span, who, param(c, "device"), results, err)
	if err != nil {
		return err
	}
	if !batch {
		if p := results[0].Problem; p != nil {
			return p
		}
		return c.Blob(http.StatusAccepted, jsonType, appendAccepted(make([]byte, 0, 160), "", &results[0]))
	}
	s.reportBatch(c, results)
	items, err := appendItems(make([]byte, 0, 160*len(results)), results)
	if err != nil {
		return err
	}
	if cause := commonCause(results); cause != nil {
		d := describe(cause)
		d.ID, d.CommandID, d.Items = nil, "", items
		return tell(c, d)
	}
	answer := append(make([]byte, 0, len(items)+12), `{"items":`...)
	return c.Blob(http.StatusAccepted, jsonType, append(append(answer, items...), '}'))
}

// traceKey is where a request's trace is kept for those who measure it.
const traceKey = "trace"

// describePost says in a span what was posted and what became of it.
func describePost(span *tracing.Span, who auth.Principal, device string, results []intake.Result, err error) {
	if span == nil {
		return // not traced: nothing is to be written for it
	}
	span.Set("cupline.tenant", who.Tenant)
	span.Set("cupline.client", who.Client)
	span.Set("cupline.device", device)
	for i := range results {
		if i == 0 {
			span.Set("cupline.command_id", results[i].CommandID.String())
		}
		if p := results[i].Problem; p != nil {
			err = p
		}
	}
	if err != nil {
		span.Fail(string(asProblem(err).Code))
	}
}

// commonCause is the problem of all items where no item was accepted, and all for one cause; else nil.
func commonCause(results []intake.Result) *problem.Problem {
	first := results[0].Problem
	for i := range results {
		if p := results[i].Problem; p == nil || first == nil || p.Code != first.Code {
			return nil
		}
	}
	return first
}

// appendAccepted writes {"id":...,"command_id":...,"expires_at":...}, behind further members if there are any.
func appendAccepted(b []byte, members string, r *intake.Result) []byte {
	b = append(b, '{')
	b = append(b, members...)
	b = append(b, `"id":`...)
	b = appendID(b, r.ID)
	b = append(b, `,"command_id":"`...)
	b = append(b, r.CommandID.String()...)
	b = append(b, `","expires_at":"`...)
	b = r.Expires.UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, `"}`...)
}

func appendID(b, id []byte) []byte {
	if len(id) == 0 {
		return append(b, "null"...)
	}
	return append(b, id...)
}

// appendItems writes what became of each command of a batch.
func appendItems(b []byte, results []intake.Result) ([]byte, error) {
	b = append(b, '[')
	for i := range results {
		if i > 0 {
			b = append(b, ',')
		}
		r := &results[i]
		if r.Problem == nil {
			b = appendAccepted(b, `"state":"accepted",`, r)
			continue
		}
		d := describe(r.Problem)
		d.ID, d.CommandID = nil, "" // they stand in the item
		told, err := marshal(d)
		if err != nil {
			return nil, err
		}
		state := `{"state":"refused","id":`
		if r.Problem.Code == problem.InDoubt {
			state = `{"state":"in_doubt","id":`
		}
		b = appendID(append(b, state...), r.ID)
		b = append(b, `,"command_id":"`...)
		b = append(b, r.CommandID.String()...)
		b = append(b, `","problem":`...)
		b = append(append(b, told...), '}')
	}
	return append(b, ']'), nil
}

// maxTrace is the longest trace header that is passed on, in bytes.
const maxTrace = 512

// trace is the W3C trace context of a request; what cannot be one is left out.
func trace(h http.Header) envelope.Trace {
	// In the form in which net/http keeps them: Get makes no object then.
	parent, state := h.Get("Traceparent"), h.Get("Tracestate")
	if !printable(parent) || len(parent) > maxTrace {
		return envelope.Trace{}
	}
	if !printable(state) || len(state) > maxTrace {
		state = ""
	}
	return envelope.Trace{Parent: parent, State: state}
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
