package up

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"time"

	"github.com/cupline/cupline/schema/device"
)

// admitAgent makes the broker user that the agent logs in with: it may hear its own
// device's commands and answer them, and nothing else. The password is new each time.
func (s *stage) admitAgent(ctx context.Context) error {
	if s.broker == nil {
		if s.access.MQTT == "" {
			s.progress.line("no agent: set %s to have one on your broker", externalMQTT)
		}
		return nil
	}
	login := device.Login(demoTenant, demoDevice)
	password := rand.Text()
	name := url.PathEscape(login)
	// A subscription's queue is named after the client id.
	own := "^mqtt-subscription-" + regexp.QuoteMeta(login)
	queueOrTopics := "(" + own + "|^amq\\.topic$)"
	topics := "^devices\\." + demoTenant + "\\." + demoDevice + "\\."
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
		if err := s.manage(ctx, put.path, put.body); err != nil {
			return err
		}
	}
	address := url.URL{Scheme: "tcp", User: url.UserPassword(login, password), Host: s.broker.MQTTAddress()}
	s.access.MQTT = address.String()
	return nil
}

// manage puts one thing through the broker's management API.
func (s *stage) manage(ctx context.Context, path string, body map[string]string) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, s.access.Management+path, bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("admit the agent to the broker: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("admit the agent to the broker: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 300 {
		said, _ := io.ReadAll(io.LimitReader(answer.Body, 1000))
		return fmt.Errorf("admit the agent to the broker: PUT %s: %s: %s", path, answer.Status, said)
	}
	return nil
}

// agentEnvironment is what the agent gets beside the others' environment.
func (s *stage) agentEnvironment() map[string]string {
	address, err := url.Parse(s.access.MQTT)
	if err != nil {
		address = &url.URL{Host: s.access.MQTT}
	}
	password, _ := address.User.Password()
	env := map[string]string{
		"CUPLINE_MQTT_USERNAME": address.User.Username(),
		"CUPLINE_MQTT_PASSWORD": password,
		"CUPLINE_TENANT":        demoTenant,
		"CUPLINE_DEVICE":        demoDevice,
		"CUPLINE_AGENT_STATE":   filepath.Join(s.folder, "agent"),
	}
	address.User = nil
	env["CUPLINE_MQTT_URL"] = address.String()
	return env
}
