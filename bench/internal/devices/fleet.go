// Package devices is the other end of the platform under measurement: many devices that answer at once over MQTT.
package devices

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/jsonrpc"
)

const (
	// greetLimit bounds the log-in and the subscribing of one connection.
	greetLimit = 30 * time.Second
	writeLimit = 10 * time.Second
	// subscribeAtOnce is how many filters go into one SUBSCRIBE.
	subscribeAtOnce = 100
)

// Config of a fleet.
type Config struct {
	// Address is host:port of the broker's MQTT listener.
	Address        string
	User, Password string
	Tenant         string
	// IDs of the devices, spread evenly over the Connections. Each subscribes to its own topic, as real ones do.
	IDs         []string
	Connections int
}

// Fleet is a set of connected devices. Each connection is one goroutine and the library's codec, not its client, which
// has five: what the load costs the platform lacks.
type Fleet struct {
	conns   []net.Conn
	serving sync.WaitGroup
	closing chan struct{}

	mu     sync.Mutex // guards the rest
	broken error
}

// Connect logs all devices in and subscribes them.
func Connect(ctx context.Context, cfg Config) (*Fleet, error) {
	if cfg.Connections < 1 || cfg.Connections > len(cfg.IDs) {
		return nil, fmt.Errorf("%d devices need 1 to as many connections, not %d", len(cfg.IDs), cfg.Connections)
	}
	f := &Fleet{closing: make(chan struct{})}
	for n := range cfg.Connections {
		var own []string
		for i := n; i < len(cfg.IDs); i += cfg.Connections {
			own = append(own, cfg.IDs[i])
		}
		l, err := connect(ctx, cfg, n, own)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("connect devices: %w", err), f.Close())
		}
		f.conns = append(f.conns, l.conn)
		f.serving.Go(func() { f.note(l.serve()) })
	}
	return f, nil
}

// Close disconnects all devices. The error says that one had broken before.
func (f *Fleet) Close() error {
	close(f.closing)
	for _, conn := range f.conns {
		_ = conn.Close() // what counts was read before
	}
	f.serving.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.broken
}

func (f *Fleet) note(err error) {
	select {
	case <-f.closing:
		return
	default:
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken == nil {
		f.broken = fmt.Errorf("the devices' connection broke: %w", err)
	}
}

// line is one connection.
type line struct {
	conn   net.Conn
	in     *bufio.Reader
	out    *bufio.Writer
	answer []byte
}

func connect(ctx context.Context, cfg Config, n int, ids []string) (*line, error) {
	conn, err := (&net.Dialer{Timeout: greetLimit}).DialContext(ctx, "tcp", cfg.Address)
	if err != nil {
		return nil, err
	}
	l := &line{conn: conn, in: bufio.NewReader(conn), out: bufio.NewWriter(conn)}
	if err = conn.SetDeadline(time.Now().Add(greetLimit)); err == nil {
		err = l.greet(cfg, n, ids)
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return l, nil
}

func (l *line) greet(cfg Config, n int, ids []string) error {
	hello := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	hello.ProtocolName, hello.ProtocolVersion, hello.CleanSession = "MQTT", 4, true
	hello.ClientIdentifier = cfg.Tenant + "/bench-" + strconv.Itoa(n)
	hello.UsernameFlag, hello.Username = true, cfg.User
	hello.PasswordFlag, hello.Password = true, []byte(cfg.Password)
	answer, err := l.ask(hello)
	if err != nil {
		return err
	}
	if ack, ok := answer.(*packets.ConnackPacket); !ok || ack.ReturnCode != packets.Accepted {
		return fmt.Errorf("the broker answers the log-in with %s", answer)
	}
	for first := 0; first < len(ids); first += subscribeAtOnce {
		wish := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
		wish.MessageID = uint16(first/subscribeAtOnce + 1)
		for _, id := range ids[first:min(first+subscribeAtOnce, len(ids))] {
			wish.Topics = append(wish.Topics, device.CommandsFilter(cfg.Tenant, id))
			wish.Qoss = append(wish.Qoss, 0)
		}
		answer, err := l.ask(wish)
		if err != nil {
			return err
		}
		if _, ok := answer.(*packets.SubackPacket); !ok {
			return fmt.Errorf("the broker answers the subscribing with %s", answer)
		}
	}
	return nil
}

func (l *line) ask(question packets.ControlPacket) (packets.ControlPacket, error) {
	if err := question.Write(l.out); err != nil {
		return nil, err
	}
	if err := l.out.Flush(); err != nil {
		return nil, err
	}
	return packets.ReadPacket(l.in)
}

// serve answers commands until the connection ends.
func (l *line) serve() error {
	for {
		packet, err := packets.ReadPacket(l.in)
		if err != nil {
			return err
		}
		if command, ok := packet.(*packets.PublishPacket); ok {
			if err := l.execute(command); err != nil {
				return err
			}
		}
		if l.in.Buffered() > 0 {
			continue // answers to what came together go together
		}
		if err := l.conn.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil {
			return err
		}
		if err := l.out.Flush(); err != nil {
			return err
		}
	}
}

// execute answers a command at once; what is none is dropped, as a device would.
func (l *line) execute(command *packets.PublishPacket) error {
	request, err := jsonrpc.ParseRequest(command.Payload)
	topic, ok := device.AnswerTopic(command.TopicName)
	if err != nil || !ok || len(request.ID.Raw) == 0 {
		return nil
	}
	l.answer = append(l.answer[:0], `{"jsonrpc":"2.0","id":`...)
	l.answer = append(l.answer, request.ID.Raw...)
	l.answer = append(l.answer, `,"result":{"on":true}}`...)
	reply := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	reply.TopicName, reply.Payload = topic, l.answer
	return reply.Write(l.out)
}
