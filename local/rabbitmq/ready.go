package rabbitmq

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/cupline/cupline/local/process"
)

// complaint is why the node did not start: the first errors that it printed, as crash reports that mean little follow
// what matters, or the end of its log.
func (i *Instance) complaint() string {
	const most = 12
	printed, err := os.ReadFile(i.outputFile())
	if err != nil {
		return process.Tail(i.LogFile())
	}
	var said []string
	for line := range strings.Lines(string(printed)) {
		_, message, found := strings.Cut(line, "[error] ")
		if found && len(said) < most {
			_, message, _ = strings.Cut(message, "> ") // the Erlang process that says it
			said = append(said, message)
		}
	}
	if len(said) == 0 {
		return process.Tail(i.LogFile(), i.outputFile())
	}
	return strings.Join(said, "")
}

// checks are the questions whose answers tell that the node serves, the quickest to ask first.
func (i *Instance) checks() []func(context.Context) error {
	all := []func(context.Context) error{func(ctx context.Context) error {
		return greet(ctx, i.config.Host.at(i.known.Get().AMQPPort))
	}}
	if i.config.enabled(mqtt) {
		all = append(all, func(ctx context.Context) error { return dial(ctx, i.config.Host.at(i.known.Get().MQTTPort)) })
	}
	if i.config.enabled(management) {
		all = append(all, i.logIn)
	}
	return all
}

func dial(ctx context.Context, address string) error {
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return connection.Close()
}

// greet opens an AMQP connection as far as the broker's first frame, a method frame.
func greet(ctx context.Context, address string) error {
	const methodFrame = 1
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close() }()
	if limit, bounded := ctx.Deadline(); bounded {
		if err := connection.SetDeadline(limit); err != nil {
			return err
		}
	}
	if _, err := connection.Write([]byte("AMQP\x00\x00\x09\x01")); err != nil {
		return err
	}
	var first [1]byte
	if _, err := io.ReadFull(connection, first[:]); err != nil {
		return err
	}
	if first[0] != methodFrame {
		return fmt.Errorf("%s does not speak AMQP 0-9-1", address)
	}
	return nil
}

// logIn asks the management API who we are, which needs the administrator to be there.
func (i *Instance) logIn(ctx context.Context) error {
	address := "http://" + i.config.Host.at(i.known.Get().ManagementPort) + "/api/whoami"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	request.SetBasicAuth(i.known.Get().User, i.known.Get().Password)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the management API answers %s to the administrator", response.Status)
	}
	return nil
}
