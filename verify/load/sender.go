package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/verify/history"
)

const (
	// inFlight is how many posts of one client may be under way; past it the load waits.
	inFlight = 16
	// Shares, in hundreds: posts that are repeated, and that are repeated with another body.
	repeatShare, spoilShare, oneWayShare = 15, 3, 10
	// repeatWithin is the longest wait before a repeated post.
	repeatWithin = 6 * time.Second
)

// order is a command that a client sends, perhaps several times.
type order struct {
	device, lane, method, id, tag string
	body                          []byte
	idempotent, oneWay            bool
	due                           time.Time // of the next post, when it is repeated
}

// sender posts the commands of one client from a seed.
type sender struct {
	prefix         string // of the ids
	tenant, client string
	apis           []*cupline.Client
	devices        []target
	log            *history.Log
	every          time.Duration

	random *rand.Rand // of the sender's own goroutine
	count  int
	mu     sync.Mutex // guards repeats
	repeat []order
}

// target is a device and the methods it has.
type target struct {
	device  string
	agent   bool // a real agent, whose methods are its own
	methods []string
	lane    string
}

// run posts until ctx is done, and returns when every post has got its answer.
func (s *sender) run(ctx context.Context) {
	pace := time.NewTicker(s.every)
	defer pace.Stop()
	slots := make(chan struct{}, inFlight)
	var posts sync.WaitGroup
	defer posts.Wait()
	for {
		select {
		case <-pace.C:
		case <-ctx.Done():
			return
		}
		o, ok := s.due()
		if !ok {
			o = s.make()
		}
		repeat, wait, api := s.random.IntN(100), time.Duration(s.random.Int64N(int64(repeatWithin))), s.apis[s.random.IntN(len(s.apis))]
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		posts.Go(func() {
			defer func() { <-slots }()
			answer := s.post(api, o)
			switch {
			case o.oneWay:
			case repeat < spoilShare:
				s.again(spoiled(o), wait)
			case repeat < repeatShare || answer == history.InDoubt && repeat < 60:
				s.again(o, wait)
			}
		})
	}
}

// make invents the next command.
func (s *sender) make() order {
	s.count++
	t := s.devices[s.random.IntN(len(s.devices))]
	o := order{device: t.device, lane: t.lane, method: t.methods[s.random.IntN(len(t.methods))]}
	o.tag = fmt.Sprintf("%s/%s/%d", s.tenant, s.client, s.count)
	o.oneWay = s.random.IntN(100) < oneWayShare && !t.agent // an agent hands no tag back
	var params any
	switch {
	case !t.agent:
		o.idempotent = len(o.method) > len(again) && o.method[len(o.method)-len(again):] == again
		params = map[string]string{"tag": o.tag}
	case o.method == "relay.set":
		params = map[string]bool{"on": s.count%2 == 0}
	case o.method == "test.late":
		params = map[string]float64{"seconds": late.Seconds()}
	}
	rpc := map[string]any{"jsonrpc": "2.0", "method": o.method}
	if params != nil {
		rpc["params"] = params
	}
	if !o.oneWay {
		id := fmt.Sprintf("%s%s-%s-%d", s.prefix, s.tenant, s.client, s.count)
		rpc["id"] = id
		quoted, _ := json.Marshal(id) // a string always can
		o.id = string(quoted)
	}
	o.body, _ = json.Marshal(rpc) // of strings and numbers
	return o
}

// spoiled is the order under the same id with another body. An order without a tag stays as it is.
func spoiled(o order) order {
	other := o.tag + "/other"
	o.body = bytes.Replace(o.body, []byte(`"`+o.tag+`"`), []byte(`"`+other+`"`), 1)
	o.tag = other
	return o
}

func (s *sender) again(o order, wait time.Duration) {
	o.due = time.Now().Add(wait)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repeat = append(s.repeat, o)
}

// due is an order to be posted again now.
func (s *sender) due() (order, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for i, o := range s.repeat {
		if now.After(o.due) {
			s.repeat = append(s.repeat[:i], s.repeat[i+1:]...)
			return o, true
		}
	}
	return order{}, false
}

// post sends an order once, and notes what the client was told.
func (s *sender) post(api *cupline.Client, o order) string {
	e := history.Event{
		Kind: history.Post, Tenant: s.tenant, Client: s.client, ID: o.id, Device: o.device, Method: o.method, Lane: o.lane,
		Tag: o.tag, Idempotent: o.idempotent, OneWay: o.oneWay, At: time.Now(), TTL: device.DefaultTTL,
	}
	// Not under the load's context: a request that the suite itself cuts off would be in doubt.
	accepted, err := api.SendRaw(context.Background(), o.device, o.body, 0)
	e.Took = time.Since(e.At)
	var problem *cupline.Problem
	if errors.As(err, &problem) {
		e.Status, e.CommandID = problem.Status, problem.CommandID
	}
	switch {
	case err == nil:
		e.Answer, e.Status, e.CommandID, e.Expires = history.Accepted, 202, accepted.CommandID, accepted.ExpiresAt
	case errors.Is(err, cupline.ErrInDoubt):
		e.Answer, e.Detail = history.InDoubt, err.Error()
	default:
		e.Answer, e.Detail = history.Refused, err.Error()
	}
	s.log.Add(e)
	return e.Answer
}
