package disconnect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// maxAnswer bounds the list of one device's connections, in bytes.
const maxAnswer = 4 << 20

// Management is the broker's management API, as an administrator of the broker.
type Management struct {
	base *url.URL
	http *http.Client
}

// NewManagement takes http:// or https:// with user and password; transport carries the requests. Errors show no password.
func NewManagement(address string, transport *http.Transport) (*Management, error) {
	base, err := url.Parse(address)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.User == nil {
		return nil, errors.New("must be http:// or https:// with user and password")
	}
	return &Management{base: base, http: &http.Client{Transport: transport}}, nil
}

// Close lets go of idle connections.
func (m *Management) Close(context.Context) error {
	m.http.CloseIdleConnections()
	return nil
}

// End ends all connections of a user, and tells how many there were.
func (m *Management) End(ctx context.Context, user string) (int, error) {
	before, err := m.list(ctx, user)
	if err != nil || before == 0 {
		return 0, err
	}
	// All at once: one by one the broker finds them only some seconds after they were made, and answers 204 all the same.
	if err := m.do(ctx, http.MethodDelete, nil, user); err != nil {
		return 0, fmt.Errorf("end the connections of %s: %w", user, err)
	}
	after, err := m.list(ctx, user)
	if err == nil && after > 0 {
		err = fmt.Errorf("end the connections of %s: %d are there still", user, after)
	}
	return before - after, err
}

func (m *Management) list(ctx context.Context, user string) (int, error) {
	var found []struct{ Name string }
	if err := m.do(ctx, http.MethodGet, &found, user); err != nil {
		return 0, fmt.Errorf("list the connections of %s: %w", user, err)
	}
	return len(found), nil
}

// do asks about a user's connections; a user who has none is not known.
func (m *Management) do(ctx context.Context, method string, into any, user string) error {
	at := *m.base
	at.User = nil
	at.RawPath = strings.TrimSuffix(at.EscapedPath(), "/") + "/api/connections/username/" + url.PathEscape(user)
	var err error
	if at.Path, err = url.PathUnescape(at.RawPath); err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, at.String(), nil)
	if err != nil {
		return err
	}
	password, _ := m.base.User.Password()
	request.SetBasicAuth(m.base.User.Username(), password)
	request.Header.Set("X-Reason", "credential revoked, or device deleted") // in the broker's log
	answer, err := m.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	switch {
	case answer.StatusCode == http.StatusNotFound:
		return nil
	case answer.StatusCode >= http.StatusMultipleChoices:
		return fmt.Errorf("the management API answers %s", answer.Status)
	case into == nil:
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("read the management API's answer: %w", err)
	}
	return nil
}
