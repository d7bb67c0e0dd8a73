// Package recall is the memory behind the store's caches: what was loaded is answered from
// memory until a notification says that it changed, and for as long as the database is away.
package recall

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cupline/cupline/store"
)

// Config of a memory.
type Config[K comparable, V any] struct {
	// Load asks the database. It returns Absent (errors.Is) for what is not there, and
	// store.ErrUnavailable when the database does not answer.
	Load   func(ctx context.Context, key K) (V, error)
	Absent error
	// Size is how many values are kept, the longest unused going first; as many of the
	// absent again, so that asking for what is not there pushes nothing out.
	Size int
	// Negative is how long absence is believed.
	Negative time.Duration
	// LoadTimeout bounds one Load.
	LoadTimeout time.Duration
	// Keep is for how long a value that may have changed unheard is served while the database is away; 0 for ever.
	Keep time.Duration
}

// probePause is how long a database that did not answer is left alone.
const probePause = 500 * time.Millisecond

// Memory remembers values by key. It is safe for concurrent use.
//
// What it holds is fresh while notifications come (Connected, not Disconnected since) and
// nobody said that it changed (Drop). What is not fresh is loaded anew; when the database is away,
// it is served as it was. Then one caller at a time finds out whether the database is back;
// nobody else waits for it.
type Memory[K comparable, V any] struct {
	cfg Config[K, V]

	mu      sync.Mutex // guards the rest
	entries map[K]*list.Element
	present list.List // of *entry, most recently used first
	absent  list.List
	flights map[K]*flight[V]
	// epoch counts gaps in the notifications; only what was loaded in the current one is fresh.
	epoch   uint64
	live    bool
	away    bool
	probing bool
	probeAt time.Time
	lost    time.Time // since when changes are not told; before the first Connected, the beginning
}

type entry[K comparable, V any] struct {
	key   K
	value V
	// epoch of the load, and when it was; until is zero for what is present.
	epoch  uint64
	loaded time.Time
	until  time.Time
}

// flight is one load, and all who wait for it.
type flight[V any] struct {
	done  chan struct{}
	value V
	err   error
	// alone: the caller that led it gave up; whoever followed has to lead.
	alone bool
	epoch uint64
	// dropped: it changed meanwhile, so the answer is not kept.
	dropped bool
}

// New makes an empty memory.
func New[K comparable, V any](cfg Config[K, V]) *Memory[K, V] {
	return &Memory[K, V]{cfg: cfg, entries: map[K]*list.Element{}, flights: map[K]*flight[V]{}, lost: time.Now()}
}

// Get returns the value of key, from memory or loaded; its error is Absent, store.ErrUnavailable, or
// that of ctx.
func (m *Memory[K, V]) Get(ctx context.Context, key K) (V, error) {
	for {
		m.mu.Lock()
		found, fresh := m.look(key)
		if fresh {
			defer m.mu.Unlock()
			return m.answer(found)
		}
		if m.away && (m.probing || time.Now().Before(m.probeAt)) {
			defer m.mu.Unlock()
			return m.asItWas(found)
		}
		f := m.flights[key]
		if f == nil {
			f = &flight[V]{done: make(chan struct{}), epoch: m.epoch}
			m.flights[key] = f
			m.probing = m.away
			m.mu.Unlock()
			return m.lead(ctx, key, f)
		}
		m.mu.Unlock()
		select {
		case <-f.done:
			if !f.alone {
				return f.value, f.err
			}
		case <-ctx.Done():
			var none V
			return none, fmt.Errorf("wait for a load: %w", ctx.Err())
		}
	}
}

// Has reports whether there is a value for key in memory, fresh or not.
func (m *Memory[K, V]) Has(key K) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.entries[key]
	return at != nil && at.Value.(*entry[K, V]).until.IsZero()
}

// look finds an entry and moves it to the front.
func (m *Memory[K, V]) look(key K) (found *entry[K, V], fresh bool) {
	at := m.entries[key]
	if at == nil {
		return nil, false
	}
	found = at.Value.(*entry[K, V])
	if found.until.IsZero() {
		m.present.MoveToFront(at)
	} else {
		m.absent.MoveToFront(at)
	}
	fresh = m.live && found.epoch == m.epoch && (found.until.IsZero() || time.Now().Before(found.until))
	return found, fresh
}

func (m *Memory[K, V]) answer(found *entry[K, V]) (V, error) {
	if !found.until.IsZero() {
		return found.value, m.cfg.Absent
	}
	return found.value, nil
}

// asItWas answers while the database is away.
func (m *Memory[K, V]) asItWas(found *entry[K, V]) (V, error) {
	var none V
	if found == nil || !found.until.IsZero() {
		return none, fmt.Errorf("not in memory: %w", store.ErrUnavailable)
	}
	if m.cfg.Keep > 0 && !m.live && time.Since(m.lost) > m.cfg.Keep && time.Since(found.loaded) > m.cfg.Keep {
		return none, fmt.Errorf("not heard of for %s: %w", m.cfg.Keep, store.ErrUnavailable)
	}
	return found.value, nil
}

// lead loads a value for all who wait for it.
func (m *Memory[K, V]) lead(ctx context.Context, key K, f *flight[V]) (V, error) {
	loading, cancel := context.WithTimeout(ctx, m.cfg.LoadTimeout)
	defer cancel()
	value, err := m.cfg.Load(loading, key)
	m.mu.Lock()
	defer m.mu.Unlock()
	defer close(f.done)
	if m.flights[key] == f {
		delete(m.flights, key)
	}
	m.probing = false
	f.value, f.err = value, err
	switch {
	case err == nil:
		m.away = false
		m.keep(&entry[K, V]{key: key, value: value, epoch: f.epoch, loaded: time.Now()}, f)
	case errors.Is(err, m.cfg.Absent):
		m.away = false
		m.keep(&entry[K, V]{key: key, epoch: f.epoch, until: time.Now().Add(m.cfg.Negative)}, f)
	case ctx.Err() != nil:
		f.alone = true
	case errors.Is(err, store.ErrUnavailable):
		m.away, m.probeAt = true, time.Now().Add(probePause)
		if found, _ := m.look(key); found != nil && !f.dropped {
			f.value, f.err = m.asItWas(found)
		}
	}
	return f.value, f.err
}

func (m *Memory[K, V]) keep(e *entry[K, V], f *flight[V]) {
	if f.dropped {
		return
	}
	m.remove(e.key)
	in := &m.present
	if !e.until.IsZero() {
		in = &m.absent
	}
	m.entries[e.key] = in.PushFront(e)
	if in.Len() > m.cfg.Size {
		m.remove(in.Back().Value.(*entry[K, V]).key)
	}
}

func (m *Memory[K, V]) remove(key K) {
	at := m.entries[key]
	if at == nil {
		return
	}
	delete(m.entries, key)
	if at.Value.(*entry[K, V]).until.IsZero() {
		m.present.Remove(at)
	} else {
		m.absent.Remove(at)
	}
}

// Drop forgets one key: it changed. Whoever asks from now on gets what is loaded from now on.
func (m *Memory[K, V]) Drop(key K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(key)
	if f := m.flights[key]; f != nil {
		f.dropped = true
		delete(m.flights, key)
	}
}

// Connected says that changes are told from here on, and that some may have been missed.
func (m *Memory[K, V]) Connected() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch++
	m.live = true
	m.away = false // the listener has just reached it
	clear(m.flights)
}

// Disconnected says that changes are not told any more.
func (m *Memory[K, V]) Disconnected() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.live {
		m.lost = time.Now()
	}
	m.live = false
}
