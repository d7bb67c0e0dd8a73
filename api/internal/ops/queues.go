package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cupline/cupline/schema/topology"
)

// Queue is one of the platform's queues as the broker tells it. Nil is not known.
type Queue struct {
	Name string `json:"queue"`
	// Kind is "lane", "dead", "mailbox", "parked" or "push".
	Kind      string `json:"kind"`
	Ready     int64  `json:"ready"`
	Unacked   *int64 `json:"unacked"`
	Consumers int    `json:"consumers"`
	// PublishRate and AckRate are messages a second.
	PublishRate *float64 `json:"publish_rate"`
	AckRate     *float64 `json:"ack_rate"`
	// DeadLettering counts messages on their way to a dead-letter exchange. Some that stay
	// are stuck: that exchange has no queue behind it, or one that is full.
	DeadLettering *int64 `json:"dead_lettering"`
	// OldestAt is since when the message at the head has waited at least, as far as looks since this process's start tell.
	OldestAt *time.Time `json:"oldest_at"`
	State    string     `json:"state,omitempty"`
	// Paused is why nothing is taken from a lane's queue; Draining that it goes to the recorder.
	Paused   *topology.Pause `json:"paused,omitempty"`
	Draining bool            `json:"draining,omitempty"`
}

// Picture is all queues at one moment.
type Picture struct {
	// Source is "management", or "declare" when the management API could not be asked and
	// only depth and consumers are known.
	Source string  `json:"source"`
	Queues []Queue `json:"queues"`
	// Missing says what could not be asked, for people.
	Missing string `json:"missing,omitempty"`
}

// Inspector asks a queue itself; found is false when there is none of that name.
type Inspector func(ctx context.Context, queue string) (messages, consumers int, found bool, err error)

// Queues reads the broker's figures. It touches no message: a look at a quorum queue by get and
// requeue counts as a delivery, and enough of them delete what was looked at.
type Queues struct {
	base    *url.URL // nil without a management API
	vhost   string
	http    *http.Client
	lanes   func(ctx context.Context) ([]topology.Lane, error)
	inspect Inspector
	ages    ages

	mu     sync.Mutex // guards pushes
	pushes []string   // the pushers' queues, as the management API last told
}

// managementLimit bounds the wait for the management API, so that the fallback has time, too.
const managementLimit = 3 * time.Second

// maxPicture bounds the management API's answer, in bytes.
const maxPicture = 64 << 20

// NewQueues takes the management API's address (empty: none) and an AMQP URL, for its virtual host.
func NewQueues(management, amqpURL string, lanes func(context.Context) ([]topology.Lane, error), inspect Inspector) (*Queues, error) {
	q := &Queues{vhost: "/", http: &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConns: 2, IdleConnTimeout: time.Minute}}, lanes: lanes, inspect: inspect}
	first, _, _ := strings.Cut(amqpURL, ",")
	amqp, err := url.Parse(first)
	if err != nil {
		return nil, errors.New("the broker's URL is not valid") // the parser's words may show a password
	}
	if vhost := strings.TrimPrefix(amqp.Path, "/"); vhost != "" {
		q.vhost = vhost
	}
	if management == "" {
		return q, nil
	}
	if q.base, err = url.Parse(management); err != nil || q.base.Host == "" {
		return nil, errors.New("the management URL must be http://user:password@host:port")
	}
	return q, nil
}

// Close gives kept connections back.
func (q *Queues) Close() { q.http.CloseIdleConnections() }

// Read takes the picture, from the management API or else from the queues one by one.
func (q *Queues) Read(ctx context.Context) (Picture, error) {
	missing := "no management API is set"
	if q.base != nil {
		asking, cancel := context.WithTimeout(ctx, managementLimit)
		queues, err := q.ask(asking)
		cancel()
		if err == nil {
			q.hold(ctx, queues)
			return Picture{Source: "management", Queues: queues}, nil
		}
		missing = err.Error()
	}
	queues, unknown, err := q.declare(ctx)
	if err != nil {
		return Picture{}, err
	}
	q.hold(ctx, queues)
	return Picture{Source: "declare", Queues: queues, Missing: missing + unknown}, nil
}

// told is a queue in the management API's words.
type told struct {
	Name      string `json:"name"`
	State     string `json:"state"`
	Ready     int64  `json:"messages_ready"`
	Unacked   int64  `json:"messages_unacknowledged"`
	Consumers int    `json:"consumers"`
	DLX       *int64 `json:"messages_dlx"`
	Stats     struct {
		// Published and Acked since the broker's node started.
		Published int64 `json:"publish"`
		Acked     int64 `json:"ack"`
		Publish   rate  `json:"publish_details"`
		Ack       rate  `json:"ack_details"`
	} `json:"message_stats"`
}

type rate struct {
	Rate *float64 `json:"rate"`
}

func (q *Queues) ask(ctx context.Context) ([]Queue, error) {
	u := q.base.JoinPath("api", "queues", url.PathEscape(q.vhost))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, errors.New("the management API cannot be asked")
	}
	answer, err := q.http.Do(request)
	if err != nil {
		return nil, errors.New("the management API does not answer")
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the management API answered %s", answer.Status)
	}
	var all []told
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxPicture)).Decode(&all); err != nil {
		return nil, errors.New("the management API's answer cannot be read")
	}
	all = slices.DeleteFunc(all, func(t told) bool { return kindOf(t.Name) == "" })
	waits := q.ages.see(time.Now(), all)
	queues := []Queue{}
	for _, t := range all {
		one := Queue{
			Name: t.Name, Kind: kindOf(t.Name), Ready: t.Ready, Unacked: &t.Unacked, Consumers: t.Consumers, DeadLettering: t.DLX,
			PublishRate: t.Stats.Publish.Rate, AckRate: t.Stats.Ack.Rate, State: t.State,
		}
		if at, known := waits[t.Name]; known {
			at = at.UTC()
			one.OldestAt = &at
		}
		queues = append(queues, one)
	}
	slices.SortFunc(queues, func(a, b Queue) int { return strings.Compare(a.Name, b.Name) })
	q.learn(queues)
	return queues, nil
}

// mostPushes bounds how many pushers' queues are asked one by one.
const mostPushes = 256

// learn keeps the names of the pushers' queues: no declaration lists them.
func (q *Queues) learn(queues []Queue) {
	var pushes []string
	for i := range queues {
		if queues[i].Kind == "push" && len(pushes) < mostPushes {
			pushes = append(pushes, queues[i].Name)
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pushes = pushes
}

// declare asks each queue whose name is known, by a passive declare: the pushers' as the management API told them last.
func (q *Queues) declare(ctx context.Context) (queues []Queue, unknown string, err error) {
	queues = []Queue{}
	names := []string{topology.DeadQueue, topology.MailboxQueue, topology.ParkedQueue}
	lanes, err := q.lanes(ctx)
	if err != nil {
		unknown = "; the lanes' queues are left out, because the lanes are not known"
	}
	for _, l := range lanes {
		names = append(names, topology.WorkQueue(l.Name))
	}
	q.mu.Lock()
	names = append(names, q.pushes...)
	q.mu.Unlock()
	slices.Sort(names)
	for _, name := range names {
		messages, consumers, found, err := q.inspect(ctx, name)
		if err != nil {
			return nil, "", fmt.Errorf("inspect queue %s: %w", name, err)
		}
		if found {
			queues = append(queues, Queue{Name: name, Kind: kindOf(name), Ready: int64(messages), Consumers: consumers})
		}
	}
	return queues, unknown, nil
}

// kindOf a queue of the platform; empty for any other.
func kindOf(name string) string {
	switch {
	case name == topology.DeadQueue:
		return "dead"
	case name == topology.MailboxQueue:
		return "mailbox"
	case name == topology.ParkedQueue:
		return "parked"
	case strings.HasPrefix(name, topology.WorkQueue("")):
		return "lane"
	case strings.HasPrefix(name, topology.PushQueue("")):
		return "push"
	}
	return ""
}
