package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/schema/push"
	"github.com/cupline/cupline/store/mailbox"
)

// Limits of one look into the mailbox.
const (
	maxWait         = 60 * time.Second
	defaultOutcomes = 64
	maxOutcomes     = 256
	maxMailboxBytes = 1 << 20
	maxAcks         = 256
)

// mailboxHold is how long past its wait a poll may take to be answered, before the server cuts it.
const mailboxHold = 30 * time.Second

func (s *Server) readMailbox(c echo.Context, who auth.Principal) error {
	wait, err := waitParam(c)
	if err != nil {
		return err
	}
	limit, err := limitParam(c, defaultOutcomes, maxOutcomes)
	if err != nil {
		return err
	}
	items, waiting, err := s.poll(c, who, wait, limit)
	if err != nil {
		return err
	}
	s.cfg.Metrics.fetched.Add(float64(len(items)))
	s.traceFetched(items)
	b := append(make([]byte, 0, 4096), `{"outcomes":[`...)
	for i := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendOutcome(b, &items[i])
	}
	b = append(b, `],"waiting":`...)
	b = strconv.AppendInt(b, waiting, 10)
	return c.Blob(http.StatusOK, jsonType, append(b, '}'))
}

func appendOutcome(b []byte, item *mailbox.Item) []byte {
	o := push.Outcome{
		ID: item.RawID, CommandID: item.CommandID.String(), Redrive: item.Redrive, Device: item.Device,
		Method: item.Method, At: item.At, Origin: item.Origin, Source: push.SourceMailbox, Response: item.Response,
	}
	return o.Append(b)
}

// poll looks into the mailbox, and again each time something arrived, until there is something, the
// time is over, the client hangs up, or the server stops.
func (s *Server) poll(c echo.Context, who auth.Principal, wait time.Duration, limit int) ([]mailbox.Item, int64, error) {
	ctx := c.Request().Context()
	look := func() ([]mailbox.Item, int64, error) {
		ctx, cancel := context.WithTimeout(ctx, storeLimit)
		defer cancel()
		return s.cfg.Mailbox.Fetch(ctx, who.Tenant, who.Client, nil, limit, maxMailboxBytes)
	}
	if wait == 0 {
		return look()
	}
	if !s.polls.enter() {
		return nil, 0, problem.New(problem.Overloaded, "ask again without wait, or a little later")
	}
	defer s.polls.leave()
	// Registered before the first look: what is stored in between still wakes.
	arrived, done := s.cfg.Arrivals.Wait(who.Tenant, who.Client)
	defer done()
	items, waiting, err := look()
	if err != nil || len(items) > 0 {
		return items, waiting, err
	}
	if err := holdOpen(c, wait); err != nil {
		return nil, 0, err
	}
	patience, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return s.await(patience, arrived, look)
}

// holdOpen lets a request wait. The server's own deadlines would end it, and the end of the one for
// reading would look as if the client had hung up.
func holdOpen(c echo.Context, wait time.Duration) error {
	control := http.NewResponseController(c.Response())
	if err := control.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	return control.SetWriteDeadline(time.Now().Add(wait + mailboxHold))
}

// await looks whenever something arrived, and once more when ctx ends.
func (s *Server) await(ctx context.Context, arrived <-chan struct{}, look func() ([]mailbox.Item, int64, error)) ([]mailbox.Item, int64, error) {
	s.cfg.Metrics.polls.Inc()
	defer s.cfg.Metrics.polls.Dec()
	for {
		last := false
		select {
		case <-arrived:
		case <-s.draining:
			last = true
		case <-ctx.Done():
			last = true // that look is for a notification that was lost
		}
		items, waiting, err := look()
		if err != nil || len(items) > 0 || last {
			return items, waiting, err
		}
	}
}

func (s *Server) ackMailbox(c echo.Context, who auth.Principal) error {
	var body struct {
		CommandIDs []string `json:"command_ids"`
	}
	if err := readInto(c, maxSmall, &body); err != nil {
		return err
	}
	if n := len(body.CommandIDs); n < 1 || n > maxAcks {
		return problem.New(problem.InvalidRequest, "must be 1 to %d", maxAcks).At("command_ids")
	}
	marks := make([]mailbox.AckMark, len(body.CommandIDs))
	for i, text := range body.CommandIDs {
		id, err := uuid.Parse(text)
		if err != nil || len(text) != 36 {
			return problem.New(problem.InvalidRequest, "must be a command id, a UUID").At("command_ids/" + strconv.Itoa(i))
		}
		marks[i] = mailbox.AckMark{Tenant: who.Tenant, Client: who.Client, CommandID: id}
	}
	traces := s.tracesOf(c.Request().Context(), marks)
	if err := s.cfg.Mailbox.Ack(c.Request().Context(), marks); err != nil {
		return err
	}
	s.traceAcked(who.Tenant, who.Client, traces)
	s.cfg.Metrics.acked.Add(float64(len(marks)))
	return c.NoContent(http.StatusNoContent)
}

func waitParam(c echo.Context) (time.Duration, error) {
	text := c.QueryParam("wait")
	if text == "" {
		return 0, nil
	}
	wait, err := time.ParseDuration(text)
	if err != nil || wait < 0 || wait > maxWait {
		return 0, problem.New(problem.InvalidParameter, "must be a duration from 0s to %s", maxWait).At("wait")
	}
	return wait, nil
}
