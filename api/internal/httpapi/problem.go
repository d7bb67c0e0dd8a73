package httpapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/store"
)

// kind is how a word is told over HTTP.
type kind struct {
	status int
	title  string
	// retryAfter in seconds; 0 says nothing.
	retryAfter int
}

// kinds is the one table from words to statuses.
var kinds = map[problem.Code]kind{
	problem.Malformed:            {http.StatusBadRequest, "The body is not valid JSON", 0},
	problem.InvalidRequest:       {http.StatusBadRequest, "The request is not what it has to be", 0},
	problem.InvalidParameter:     {http.StatusBadRequest, "A parameter is not what it has to be", 0},
	problem.Unauthorized:         {http.StatusUnauthorized, "A valid API key is needed", 0},
	problem.Forbidden:            {http.StatusForbidden, "The key may not do this", 0},
	problem.NotFound:             {http.StatusNotFound, "There is nothing here", 0},
	problem.UnknownDevice:        {http.StatusNotFound, "No such device", 0},
	problem.UnknownKey:           {http.StatusNotFound, "No such key", 0},
	problem.UnknownTenant:        {http.StatusNotFound, "No such tenant", 0},
	problem.KeyEnded:             {http.StatusConflict, "The key is no longer good", 0},
	problem.OtherReach:           {http.StatusConflict, "The client's keys reach other devices", 0},
	problem.UnknownCommand:       {http.StatusNotFound, "Nothing is known of this command", 0},
	problem.UnknownCredential:    {http.StatusNotFound, "No such credential", 0},
	problem.TooManyCredentials:   {http.StatusConflict, "The device has too many credentials", 0},
	problem.MethodNotAllowed:     {http.StatusMethodNotAllowed, "This method is not for this resource", 0},
	problem.InUse:                {http.StatusConflict, "It is still in use", 0},
	problem.TooLarge:             {http.StatusRequestEntityTooLarge, "The body is too large", 0},
	problem.UnsupportedMediaType: {http.StatusUnsupportedMediaType, "The body has to be application/json", 0},
	problem.InvalidParams:        {http.StatusUnprocessableEntity, "The params fail the method's schema", 0},
	problem.InvalidDescription:   {http.StatusUnprocessableEntity, "The description breaks the rules", 0},
	problem.UnknownType:          {http.StatusUnprocessableEntity, "No such device type", 0},
	problem.UnknownLane:          {http.StatusUnprocessableEntity, "No such lane", 0},
	problem.NotIdempotent:        {http.StatusUnprocessableEntity, "The lane takes only idempotent methods", 0},
	problem.MailboxFull:          {http.StatusTooManyRequests, "This client's mailbox is full", 5},
	problem.RateLimited:          {http.StatusTooManyRequests, "Too much in a short time", 1},
	problem.Internal:             {http.StatusInternalServerError, "The platform failed", 0},
	problem.LaneUnavailable:      {http.StatusServiceUnavailable, "The lane is not available", 5},
	problem.QueueFull:            {http.StatusServiceUnavailable, "The lane's queue is full", 1},
	problem.BrokerUnavailable:    {http.StatusServiceUnavailable, "The broker is not available", 1},
	problem.BrokerBlocked:        {http.StatusServiceUnavailable, "The broker takes no messages now", 5},
	problem.DatabaseUnavailable:  {http.StatusServiceUnavailable, "The database is not available", 1},
	problem.Overloaded:           {http.StatusServiceUnavailable, "Too many requests are waiting", 1},
	problem.InDoubt:              {http.StatusGatewayTimeout, "It is in doubt whether the command was accepted", 0},

	problem.UnknownLetter:   {http.StatusNotFound, "No such dead letter", 0},
	problem.UnknownJob:      {http.StatusNotFound, "No such job", 0},
	problem.LetterState:     {http.StatusConflict, "The letter's state does not allow it", 0},
	problem.JobState:        {http.StatusConflict, "The job's state does not allow it", 0},
	problem.MayHaveExecuted: {http.StatusConflict, "The device may have executed it", 0},
	problem.DeviceGone:      {http.StatusConflict, "The device is gone", 0},
	problem.LetterHeld:      {http.StatusConflict, "It has died again and again", 0},
	problem.UnknownGroup:    {http.StatusNotFound, "No such group of dead letters", 0},
	problem.Assigned:        {http.StatusConflict, "Somebody else looks after it", 0},
	problem.PauseState:      {http.StatusConflict, "It is already so", 0},
	problem.UnknownDrain:    {http.StatusNotFound, "No such drain", 0},
	problem.ErasureState:    {http.StatusConflict, "It is being erased already", 0},
	problem.DrainState:      {http.StatusConflict, "The drain's state does not allow it", 0},
	problem.CommandState:    {http.StatusConflict, "The command's state does not allow it", 0},
	problem.NotRedrivable:   {http.StatusUnprocessableEntity, "There is no command to send again", 0},
}

// typePrefix makes the problem's type out of its word.
const typePrefix = "urn:cupline:problem:"

// problemType is the media type of RFC 9457.
const problemType = "application/problem+json"

// document is a problem as it is told.
type document struct {
	Type      string          `json:"type"`
	Title     string          `json:"title"`
	Status    int             `json:"status"`
	Code      problem.Code    `json:"code"`
	Detail    string          `json:"detail,omitempty"`
	ID        json.RawMessage `json:"id,omitempty"`
	CommandID string          `json:"command_id,omitempty"`
	Field     string          `json:"field,omitempty"`
	Offset    *int            `json:"offset,omitempty"`
	Index     *int            `json:"index,omitempty"`
	List      []string        `json:"problems,omitempty"`
	Items     json.RawMessage `json:"items,omitempty"`

	// retryAfter in seconds, in place of the table's.
	retryAfter int
}

func describe(p *problem.Problem) document {
	k := kinds[p.Code]
	d := document{
		Type: typePrefix + string(p.Code), Title: k.title, Status: k.status, Code: p.Code,
		Detail: p.Detail, ID: p.ID, Field: p.Field, List: p.List,
	}
	if p.RetryAfter > 0 {
		d.retryAfter = int(math.Ceil(p.RetryAfter.Seconds()))
	}
	if p.CommandID != uuid.Nil {
		d.CommandID = p.CommandID.String()
	}
	if p.Offset != problem.None {
		d.Offset = &p.Offset
	}
	if p.Index != problem.None {
		d.Index = &p.Index
	}
	return d
}

// tell writes a problem as the answer.
func tell(c echo.Context, d document) error {
	header := c.Response().Header()
	if after := cmp.Or(d.retryAfter, kinds[d.Code].retryAfter); after > 0 {
		header.Set("Retry-After", strconv.Itoa(after))
	}
	switch d.Code {
	case problem.Unauthorized:
		if c.Request().Header.Get(echo.HeaderAuthorization) == "" {
			header.Set("WWW-Authenticate", realm) // no error: nothing was tried (RFC 6750, 3.1)
			break
		}
		header.Set("WWW-Authenticate", challenge("invalid_token", d.Detail))
	case problem.Forbidden:
		header.Set("WWW-Authenticate", challenge("insufficient_scope", d.Detail)+`, scope="`+d.Field+`"`)
	}
	body, err := marshal(d)
	if err != nil {
		return err
	}
	return c.Blob(d.Status, problemType, body)
}

const realm = `Bearer realm="cupline"`

// challenge is the WWW-Authenticate header (RFC 6750, 3). The details are our own words, without quotation marks.
func challenge(word, detail string) string {
	return realm + `, error="` + word + `", error_description="` + detail + `"`
}

// marshal is json.Marshal that leaves <, > and & as they are: an id has to keep its bytes.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// asProblem finds the problem in any error that a handler, or Echo itself, returns.
func asProblem(err error) *problem.Problem {
	var found *problem.Problem
	if errors.As(err, &found) {
		return found
	}
	var routing *echo.HTTPError
	if errors.As(err, &routing) {
		switch routing.Code {
		case http.StatusNotFound:
			return problem.From(problem.NotFound, nil)
		case http.StatusMethodNotAllowed:
			return problem.From(problem.MethodNotAllowed, nil)
		}
	}
	return fault(err)
}

// fault is what an error of the store means to a client when nothing else is known of it.
func fault(err error) *problem.Problem {
	if errors.Is(err, store.ErrUnavailable) {
		return problem.From(problem.DatabaseUnavailable, err)
	}
	return problem.From(problem.Internal, err)
}
