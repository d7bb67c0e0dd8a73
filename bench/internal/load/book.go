package load

import (
	"sync"
	"time"
)

// fate is what the answer to a POST said of a command.
type fate uint8

const (
	unanswered fate = iota
	accepted
	refused
	doubtful
)

// command is the life of one command as its client sees it. Times count from the run's begin; 0 means not yet.
type command struct {
	// due is when it should have been posted, sent when it was, answered when the POST's answer came, done when the first
	// outcome did.
	due, sent, answered, done time.Duration
	fate                      fate
	outcomes                  uint8
	// waiter gets a token when the fate is sealed; may be nil. It has room for all that are told of.
	waiter chan<- struct{}
}

// book holds all commands of one client in one run. Ids are consecutive from base on.
type book struct {
	pending *pending
	base    int64

	mu       sync.Mutex // guards the rest
	commands []command
	failures map[string]int // outcomes that are no results, by reason
	strays   int            // outcomes of no command of this run
	wrong    int            // outcomes whose response is for another id
	mailbox  int            // outcomes that came by way of the mailbox
}

func newBook(base int64, p *pending) *book {
	return &book{base: base, pending: p, failures: map[string]int{}}
}

// enter notes commands that are about to be posted, and returns the id of the first.
func (b *book) enter(count int, due, now time.Duration, waiter chan<- struct{}) int64 {
	b.pending.add(count)
	b.mu.Lock()
	defer b.mu.Unlock()
	first := b.base + int64(len(b.commands))
	for range count {
		b.commands = append(b.commands, command{due: due, sent: now, waiter: waiter})
	}
	return first
}

// answer notes what the POST said of one command.
func (b *book) answer(id int64, f fate, now time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := &b.commands[id-b.base]
	c.fate, c.answered = f, now
	if f != accepted && c.outcomes == 0 {
		b.seal(c)
	}
}

// settle notes an outcome; reason is empty for a result.
func (b *book) settle(id, responseID int64, reason string, viaMailbox bool, now time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if id < b.base || id >= b.base+int64(len(b.commands)) {
		b.strays++
		return
	}
	c := &b.commands[id-b.base]
	if c.outcomes < 255 {
		c.outcomes++
	}
	if c.outcomes > 1 {
		return
	}
	c.done = now
	if reason != "" {
		b.failures[reason]++
	}
	if responseID != id {
		b.wrong++
	}
	if viaMailbox {
		b.mailbox++
	}
	if c.fate == unanswered || c.fate == accepted {
		b.seal(c)
	}
}

// seal tells that nothing more is waited for.
func (b *book) seal(c *command) {
	if c.waiter != nil {
		c.waiter <- struct{}{}
	}
	b.pending.done()
}

// pending counts the commands whose fate is open.
type pending struct {
	mu     sync.Mutex // guards the rest
	count  int
	ended  bool
	sealed int64
	none   chan struct{} // closed when no more are entered and none is open
}

func newPending() *pending { return &pending{none: make(chan struct{})} }

func (p *pending) add(count int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count += count
}

func (p *pending) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count--
	p.sealed++
	p.check()
}

// end says that no more are entered. It is called once.
func (p *pending) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.check()
}

func (p *pending) check() {
	if p.ended && p.count == 0 {
		close(p.none)
	}
}
