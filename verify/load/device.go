package load

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/verify/history"
)

const (
	// Timeout of every method of the load.
	Timeout = 2 * time.Second
	// again marks the methods that are declared idempotent.
	again = ".again"
	// slow is within the timeout, late past it.
	slow = 600 * time.Millisecond
	late = Timeout + time.Second
)

// methods that devices of the suite have, each also as idempotent.
var methods = []string{"fast", "slow", "late", "twice", "never"}

// request as a device sees it; its id is the command id.
type request struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		Tag string `json:"tag"`
	} `json:"params"`
}

// run counts one execution and behaves as the method says: it returns the answers to send.
// A late one is decided to be so only by its delay.
func run(ctx context.Context, log *history.Log, tenant, name string, body []byte) [][]byte {
	var r request
	if err := json.Unmarshal(body, &r); err != nil {
		r.Method = "unreadable"
	}
	var commandID string
	_ = json.Unmarshal(r.ID, &commandID) // one-way commands have none
	log.Add(history.Event{Kind: history.Execution, Tenant: tenant, Device: name, CommandID: commandID, Method: r.Method, Tag: r.Params.Tag})
	answer := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"result":%q}`, r.ID, r.Params.Tag)
	wait := time.Duration(0)
	switch strings.TrimSuffix(r.Method, again) {
	case "slow":
		wait = slow
	case "late":
		wait = late
	case "twice":
		return [][]byte{answer, fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"result":"a second answer"}`, r.ID)}
	case "never":
		return nil
	}
	select {
	case <-time.After(wait):
		return [][]byte{answer}
	case <-ctx.Done():
		return nil
	}
}

// web serves the devices that speak HTTP, all on one port: /TENANT/DEVICE.
type web struct {
	server *http.Server
	url    string
	ended  chan struct{}
}

func startWeb(ctx context.Context, log *history.Log, address string) (*web, error) {
	if address == "" {
		address = "127.0.0.1:0"
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("start the devices that speak HTTP: %w", err)
	}
	w := &web{url: "http://" + listener.Addr().String(), ended: make(chan struct{})}
	w.server = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		tenant, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // cut before it was whole: not started
		}
		answers := run(r.Context(), log, tenant, name, body)
		if len(answers) == 0 {
			<-r.Context().Done() // never
			return
		}
		out.Header().Set("Content-Type", "application/json")
		_, _ = out.Write(answers[0]) // who asked may be gone
	})}
	go func() {
		defer close(w.ended)
		_ = w.server.Serve(listener) // ends with close
	}()
	return w, nil
}

func (w *web) close() error {
	err := w.server.Close()
	<-w.ended
	return err
}

// MQTT is how devices reach the broker.
type MQTT struct{ URL, User, Password string }

// thing is one device of the suite that speaks MQTT.
type thing struct {
	client paho.Client
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// startThing connects a device; it comes back by itself whenever its connection is lost.
func startThing(ctx context.Context, log *history.Log, at MQTT, tenant, name string) (*thing, error) {
	t := &thing{}
	ctx, t.cancel = context.WithCancel(context.WithoutCancel(ctx))
	take := func(client paho.Client, m paho.Message) {
		topic, ok := device.AnswerTopic(m.Topic())
		if !ok {
			return
		}
		t.work.Go(func() {
			for _, answer := range run(ctx, log, tenant, name, m.Payload()) {
				client.Publish(topic, 1, false, answer).WaitTimeout(Timeout)
			}
		})
	}
	t.client = paho.NewClient(paho.NewClientOptions().
		AddBroker(at.URL).SetClientID(device.Login(tenant, name)).SetUsername(at.User).SetPassword(at.Password).
		SetProtocolVersion(4).SetCleanSession(true).SetOrderMatters(false).
		SetAutoReconnect(true).SetMaxReconnectInterval(time.Second).SetConnectRetry(true).SetConnectRetryInterval(time.Second).
		SetKeepAlive(5 * time.Second).SetPingTimeout(3 * time.Second).
		SetOnConnectHandler(func(client paho.Client) {
			client.Subscribe(device.CommandsFilter(tenant, name), 0, take)
		}))
	if token := t.client.Connect(); !token.WaitTimeout(20*time.Second) || token.Error() != nil {
		t.close()
		return nil, fmt.Errorf("connect device %s of %s: %w", name, tenant, token.Error())
	}
	return t, nil
}

func (t *thing) close() {
	t.cancel()
	t.client.Disconnect(100)
	t.work.Wait()
}
