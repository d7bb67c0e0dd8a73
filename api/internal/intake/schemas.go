package intake

import (
	"container/list"
	"sync"
)

// schemaKey names one compiled schema: a version never comes back with other contents.
type schemaKey struct {
	tenant, name string
	version      int64
	method       string
}

// schemas keeps compiled schemas, at most limit of them; past it the one that was used
// longest ago is forgotten, and compiled anew when it is asked for. mu guards all.
type schemas struct {
	limit int
	mu    sync.Mutex
	byKey map[schemaKey]*list.Element
	order *list.List // of *schemaEntry, the last used in front
}

// schemaEntry is compiled once, by the first who asks; the others wait for it.
type schemaEntry struct {
	key      schemaKey
	once     sync.Once
	compiled *ParamsSchema
	err      error
}

func newSchemas(limit int) *schemas {
	return &schemas{limit: limit, byKey: make(map[schemaKey]*list.Element), order: list.New()}
}

// get returns the schema of that key, compiled from text.
func (s *schemas) get(key schemaKey, text []byte) (*ParamsSchema, error) {
	entry := s.entry(key)
	entry.once.Do(func() { entry.compiled, entry.err = CompileParams(text) })
	return entry.compiled, entry.err
}

func (s *schemas) entry(key schemaKey) *schemaEntry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, has := s.byKey[key]; has {
		s.order.MoveToFront(at)
		return at.Value.(*schemaEntry)
	}
	if s.order.Len() >= s.limit {
		last := s.order.Back()
		delete(s.byKey, last.Value.(*schemaEntry).key)
		s.order.Remove(last)
	}
	entry := &schemaEntry{key: key}
	s.byKey[key] = s.order.PushFront(entry)
	return entry
}
