package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"time"
)

// Admit makes the broker user that the demo's agent logs in with: it may hear its own
// device's commands and answer them, and nothing else. management is the broker's
// management API, http://user:password@host:port.
func Admit(ctx context.Context, management, password string) error {
	name := url.PathEscape(Login())
	// A subscription's queue is named after the client id.
	own := "^mqtt-subscription-" + regexp.QuoteMeta(Login())
	queueOrTopics := "(" + own + "|^amq\\.topic$)"
	topics := "^devices\\." + Tenant + "\\." + Device + "\\."
	for _, put := range []struct {
		path string
		body map[string]string
	}{
		{"/api/users/" + name, map[string]string{"password": password, "tags": ""}},
		{"/api/permissions/%2F/" + name, map[string]string{"configure": own, "write": queueOrTopics, "read": queueOrTopics}},
		{"/api/topic-permissions/%2F/" + name, map[string]string{
			"exchange": "amq.topic", "write": topics + "(replies|events)\\.", "read": topics + "commands\\.",
		}},
	} {
		if err := manage(ctx, management, put.path, put.body); err != nil {
			return fmt.Errorf("admit the agent to the broker: %w", err)
		}
	}
	return nil
}

// manage puts one thing through the broker's management API.
func manage(ctx context.Context, management, path string, body map[string]string) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, management+path, bytes.NewReader(content))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode >= 300 {
		said, _ := io.ReadAll(io.LimitReader(answer.Body, 1000))
		return fmt.Errorf("PUT %s: %s: %s", path, answer.Status, said)
	}
	return nil
}
