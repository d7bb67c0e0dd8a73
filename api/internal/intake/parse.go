package intake

import (
	"errors"
	"time"

	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/jsonrpc"
)

// parse reads the body, and turns what is wrong with it into a problem.
func parse(body []byte) ([]jsonrpc.Request, bool, error) {
	requests, batch, err := jsonrpc.ParseBatch(body)
	if err == nil {
		return requests, batch, nil
	}
	found := problem.From(problem.InvalidRequest, nil)
	found.Detail = err.Error()
	if !batch && len(requests) == 1 {
		found.ID = requests[0].ID.Raw
	}
	var item *jsonrpc.ItemError
	if errors.As(err, &item) {
		found.Index, found.ID = item.Index, item.ID.Raw
	}
	var syntax *jsonrpc.SyntaxError
	var field *jsonrpc.FieldError
	switch {
	case errors.As(err, &syntax):
		found.Code, found.Offset = problem.Malformed, syntax.Offset
	case errors.As(err, &field):
		found.Field = field.Field
	}
	return nil, batch, found
}

// ParseTTL reads the time-to-live that a client asks for. The empty text leaves it to the method's policy.
func ParseTTL(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	ttl, err := time.ParseDuration(text)
	if err != nil || ttl < device.MinTTL {
		return 0, problem.New(problem.InvalidParameter, "must be a duration such as 30s, and at least %s", device.MinTTL)
	}
	return ttl, nil
}
