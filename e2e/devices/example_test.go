package devices_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cupline/cupline/local/rabbitmq"
)

// example is what helm/examples gives RabbitMQ's operator: the plugins, and the lines of rabbitmq.conf.
func example(t *testing.T) (plugins, settings []string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "helm", "examples", "rabbitmq.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	api, found := "http://"+site.Service("api").Internal, false
	for line := range strings.Lines(string(content)) {
		switch word := strings.TrimSpace(line); {
		case strings.HasPrefix(word, "additionalConfig:"):
			found = true
		case !found && strings.HasPrefix(word, "- rabbitmq_"):
			plugins = append(plugins, strings.TrimPrefix(word, "- "))
		case found && !strings.HasPrefix(line, "      "):
			return plugins, settings
		case found && !strings.HasPrefix(word, "#"):
			settings = append(settings, strings.ReplaceAll(word, "http://cupline-api-broker:9100", api))
		}
	}
	t.Fatal("the example has no additionalConfig")
	return nil, nil
}

// TestDevicesLogInToABrokerThatIsSetUpAsTheExampleSays starts a node with the example's very lines.
func TestDevicesLogInToABrokerThatIsSetUpAsTheExampleSays(t *testing.T) {
	t.Parallel()
	plugins, settings := example(t)
	if len(plugins) != 3 || len(settings) < 10 {
		t.Fatalf("plugins %v, settings %v", plugins, settings)
	}
	config := rabbitmq.Config{Base: site.Folder(), Name: "example", Plugins: plugins, Settings: settings}
	starting, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	node, err := rabbitmq.Start(starting, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := node.Kill(); err != nil {
			t.Error(err)
		}
		ending, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := rabbitmq.Discard(ending, config); err != nil {
			t.Error(err)
		}
	})
	_, port, err := net.SplitHostPort(node.MQTTAddress())
	if err != nil {
		t.Fatal(err)
	}
	n := newTenant(t)
	lamp, victim := n.login(t, "lamp-1"), n.login(t, "lamp-2")
	heard, err := lamp.subscribe(t, own(lamp), "-p", port)
	if err != nil {
		t.Fatal(err)
	}
	// The broker's own administrator is no device, and gets past the API.
	admin := login{node.User(), node.Password(), "admin"}
	if err := admin.publish(t, "devices/"+lamp.user+"/commands/here", "hello", "-p", port); err != nil {
		t.Fatal(err)
	}
	if _, payload := next(t, heard); payload != "hello" {
		t.Errorf("it hears %q", payload)
	}
	if err := lamp.second("events").publish(t, "devices/"+lamp.user+"/events/on", "1", "-p", port); err != nil {
		t.Errorf("an event of its own: %v", err)
	}
	if _, err := lamp.second("spy").subscribe(t, own(victim), "-p", port); err == nil {
		t.Error("it hears another's commands")
	}
	stranger := login{lamp.user, victim.password, lamp.user + "/stranger"}
	if err := stranger.publish(t, "devices/"+lamp.user+"/events/on", "1", "-p", port); err == nil {
		t.Error("another's password lets in")
	}
}
