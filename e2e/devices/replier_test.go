package devices_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// replier answers commands through one connection: a device's second one, which publishes each line that it reads.
type replier struct {
	login
	topic string
	input io.Writer
}

func newReplier(t *testing.T, l login) *replier { return &replier{login: l.second("answers")} }

// answer takes the next command and answers it.
func (r *replier) answer(t *testing.T, commands *bufio.Scanner) {
	t.Helper()
	topic, payload := next(t, commands)
	var request struct{ ID json.RawMessage }
	if err := json.Unmarshal([]byte(payload), &request); err != nil {
		t.Fatalf("%s: %v", payload, err)
	}
	if topic = strings.Replace(topic, "/commands/", "/replies/", 1); r.topic == "" {
		r.start(t, topic)
	}
	if topic != r.topic {
		t.Fatalf("commands come from %s and %s: there is one dispatcher", topic, r.topic)
	}
	if _, err := fmt.Fprintf(r.input, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":\"yes\"}\n", request.ID); err != nil {
		t.Fatal(err)
	}
}

// start runs the tool until it has logged in. Refused, it would not try again, and answer nothing without a word.
func (r *replier) start(t *testing.T, topic string) {
	t.Helper()
	r.topic = topic
	ctx, cancel := context.WithCancel(context.Background())
	command := exec.CommandContext(ctx, "stdbuf", append([]string{"-oL", "mosquitto_pub"}, r.arguments("-d", "-q", "1", "-l", "-t", topic)...)...)
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = command.Stdout
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	r.input = input
	var said []string // to be read once read is closed
	accepted, read := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(read)
		in := false
		for lines := bufio.NewScanner(output); lines.Scan(); {
			said = append(said, lines.Text())
			if !in && strings.Contains(lines.Text(), "received CONNACK (0)") {
				in = true
				close(accepted)
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-read
		_ = command.Wait() // it was killed
		if t.Failed() {
			t.Logf("the device that answers said:\n%s", strings.Join(said, "\n"))
		}
	})
	select {
	case <-accepted:
	case <-read:
		t.Fatalf("the device that answers has ended: %s", strings.Join(said, "; "))
	case <-bounded(t).Done():
		t.Fatal("the device that answers does not log in")
	}
}
