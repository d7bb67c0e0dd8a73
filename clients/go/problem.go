package cupline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// What can become of a request that did not succeed, asked with errors.Is.
var (
	// ErrRefused: nothing was accepted or changed. Sending again is safe.
	ErrRefused = errors.New("refused, nothing was accepted")
	// ErrInDoubt: the platform may have accepted it. Sending the same bytes with the same
	// id again is safe, but for one-way commands, which have none.
	ErrInDoubt = errors.New("in doubt, it may have been accepted")
	// ErrUnreachable: no connection was made, so it is ErrRefused as well.
	ErrUnreachable = errors.New("the platform cannot be reached")
	// ErrNotFound: the platform knows no such thing, or this key may not see it.
	ErrNotFound = errors.New("not found")
	// ErrUnauthorized: the key is not valid, or may not do this.
	ErrUnauthorized = errors.New("not authorized")
)

// Problem is the platform's answer to a request that it did not accept (RFC 9457, with the
// members that openapi.yaml adds).
type Problem struct {
	// Status is the HTTP status.
	Status int `json:"status"`
	// Code is the closed word for what is wrong, such as queue_full; empty when something in
	// between answered, not the platform.
	Code   string `json:"code"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	// ID is the command's id as the client wrote it, when it could be read.
	ID json.RawMessage `json:"id,omitempty"`
	// CommandID is the platform's, where it had made one: for in_doubt.
	CommandID string `json:"command_id,omitempty"`
	// Field is the member, header or parameter that is meant.
	Field string `json:"field,omitempty"`
	// Offset is the byte at which the body stops being JSON, Index the item of a batch, from 0.
	Offset *int64 `json:"offset,omitempty"`
	Index  *int   `json:"index,omitempty"`
	// Problems lists every problem found, where there can be several.
	Problems []string `json:"problems,omitempty"`
	// Items says what became of each item, where no item of a batch was accepted.
	Items []Item `json:"items,omitempty"`
	// RetryAfter is when to try again at the earliest; 0 when nothing was said.
	RetryAfter time.Duration `json:"-"`
	// InDoubt tells that the platform may have accepted the command all the same.
	InDoubt bool `json:"-"`
}

// Error says what is wrong in words, with all that helps to find it.
func (p *Problem) Error() string {
	text := p.Title
	if text == "" {
		text = strconv.Itoa(p.Status) + " " + http.StatusText(p.Status)
	}
	if p.Index != nil {
		text += fmt.Sprintf(", item %d", *p.Index)
	}
	if p.Field != "" {
		text += ": " + p.Field
	}
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	if len(p.Problems) > 0 {
		text += ": " + strings.Join(p.Problems, "; ")
	}
	if p.Code != "" {
		text += fmt.Sprintf(" (%d %s)", p.Status, p.Code)
	}
	return text
}

// Is tells which of the package's errors the problem is.
func (p *Problem) Is(target error) bool {
	switch target {
	case ErrInDoubt:
		return p.InDoubt
	case ErrRefused:
		return !p.InDoubt
	case ErrNotFound:
		return p.Status == http.StatusNotFound
	case ErrUnauthorized:
		return p.Status == http.StatusUnauthorized || p.Status == http.StatusForbidden
	}
	return false
}

// maxProblem bounds how much of an error answer is read, in bytes.
const maxProblem = 64 << 10

// readProblem makes a Problem of any answer that is not a success.
// read tells that the request was one that changes nothing, so that no doubt can remain.
func readProblem(r *http.Response, read bool) *Problem {
	p := &Problem{}
	// An answer cut short still has its status, which says what counts.
	body, _ := io.ReadAll(io.LimitReader(r.Body, maxProblem))
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	said := kind == "application/problem+json" && json.Unmarshal(body, p) == nil
	if !said {
		*p = Problem{Detail: excerpt(body)}
	}
	p.Status = r.StatusCode
	p.InDoubt = !read && inDoubt(r.StatusCode, said)
	p.RetryAfter = retryAfter(r.Header.Get("Retry-After"))
	return p
}

// inDoubt: a 504 says so itself. Any other answer of the platform is a refusal; one of a
// proxy in between tells nothing about what the platform did, unless it blames the request.
func inDoubt(status int, said bool) bool {
	if status == http.StatusGatewayTimeout || status == http.StatusInternalServerError {
		return true
	}
	return !said && (status >= 500 || status < 400)
}

func excerpt(body []byte) string {
	const most = 200
	text := strings.TrimSpace(strings.ToValidUTF8(string(body), "?"))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

// retryAfter reads either form of the header (RFC 9110, 10.2.3).
func retryAfter(text string) time.Duration {
	if text == "" {
		return 0
	}
	if seconds, err := strconv.Atoi(text); err == nil {
		return max(time.Duration(seconds)*time.Second, 0)
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}

// linkError is a request that got no answer.
type linkError struct {
	what string
	sent bool
	err  error
}

func (e *linkError) Error() string {
	if e.sent {
		return fmt.Sprintf("%s: no answer (%s): %v", e.what, ErrInDoubt, e.err)
	}
	return fmt.Sprintf("%s: %s: %v", e.what, ErrUnreachable, e.err)
}

func (e *linkError) Unwrap() error { return e.err }

func (e *linkError) Is(target error) bool {
	switch target {
	case ErrInDoubt:
		return e.sent
	case ErrRefused, ErrUnreachable:
		return !e.sent
	}
	return false
}
