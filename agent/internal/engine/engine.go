// Package engine runs the commands that come in, several at a time, and sends the answers.
package engine

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/agent/internal/rpc"
	"github.com/cupline/cupline/schema/device"
)

// Publisher sends a message at least once; it waits for a connection while there is none.
type Publisher interface {
	Publish(ctx context.Context, topic string, payload []byte) error
}

// Config of an engine.
type Config struct {
	Methods rpc.Table
	// Concurrency is how many commands run at a time; further ones are refused as busy.
	Concurrency int
	// AnswerLimit is how long an answer is tried to be sent. Nobody waits for it longer.
	AnswerLimit time.Duration
	Log         *zap.Logger
}

// maxRefusing bounds the refusals on their way out; past it a command is dropped in silence.
const maxRefusing = 256

// Engine runs commands.
type Engine struct {
	cfg     Config
	out     Publisher
	slots   chan struct{}
	refusal chan struct{}

	mu      sync.Mutex // guards stopped, and running against a start after its wait
	stopped bool
	running sync.WaitGroup
}

// New makes an engine that answers by way of out.
func New(out Publisher, cfg Config) *Engine {
	return &Engine{
		cfg: cfg, out: out, slots: make(chan struct{}, cfg.Concurrency), refusal: make(chan struct{}, maxRefusing),
	}
}

// Take starts a command that came in on a topic; its method is cancelled with ctx. It never
// blocks. After Stop it drops what comes.
func (e *Engine) Take(ctx context.Context, topic string, payload []byte) {
	answerTo, ok := device.AnswerTopic(topic)
	if !ok {
		e.cfg.Log.Warn("a message on a topic that is not one of commands", zap.String("topic", topic))
		return
	}
	busy := &rpc.Error{Code: rpc.Busy, Message: "the device is busy; the command was not started"}
	switch {
	case e.start(e.slots, func() {
		for _, answer := range e.cfg.Methods.Serve(ctx, payload) {
			e.answer(ctx, answerTo, answer)
		}
	}):
	case e.start(e.refusal, func() {
		if answer := rpc.Refusal(payload, busy); answer != nil {
			e.answer(ctx, answerTo, answer)
		}
	}):
	default:
		e.cfg.Log.Warn("dropped a command: too many, and too many refusals on their way out")
	}
}

// start runs f on a goroutine that Stop waits for, if there is room for one more.
func (e *Engine) start(room chan struct{}, f func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped {
		return false
	}
	select {
	case room <- struct{}{}:
	default:
		return false
	}
	e.running.Go(func() {
		defer func() { <-room }()
		f()
	})
	return true
}

// lastWord is how long an answer may take once the commands were cancelled.
const lastWord = time.Second

// answer is sent even when the commands were cancelled: it tells just that.
func (e *Engine) answer(commands context.Context, topic string, payload []byte) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(commands), e.cfg.AnswerLimit)
	defer cancel()
	unhook := context.AfterFunc(commands, func() { time.AfterFunc(lastWord, cancel) })
	defer unhook()
	if err := e.out.Publish(ctx, topic, payload); err != nil {
		e.cfg.Log.Warn("an answer was not sent", zap.String("topic", topic), zap.Error(err))
	}
}

// Stop takes no more commands and returns when every one taken was answered. When ctx is
// done first it calls cancel, which has to end those that run.
func (e *Engine) Stop(ctx context.Context, cancel context.CancelFunc) {
	e.mu.Lock()
	e.stopped = true
	e.mu.Unlock()
	unhook := context.AfterFunc(ctx, cancel)
	defer unhook()
	e.running.Wait()
}
