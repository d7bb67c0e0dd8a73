package cupline

// memory remembers the last command ids that were handled, so that an outcome that comes
// twice is handed over once. Only the goroutine that handles outcomes uses it.
type memory struct {
	limit int
	ids   map[string]struct{}
	// ring holds the ids in the order they came; once it is full, oldest is the next to go.
	ring   []string
	oldest int
}

func newMemory(limit int) *memory {
	return &memory{limit: limit, ids: map[string]struct{}{}}
}

func (m *memory) has(id string) bool {
	_, ok := m.ids[id]
	return ok
}

func (m *memory) add(id string) {
	if m.has(id) {
		return
	}
	m.ids[id] = struct{}{}
	if len(m.ring) < m.limit {
		m.ring = append(m.ring, id)
		return
	}
	delete(m.ids, m.ring[m.oldest])
	m.ring[m.oldest] = id
	m.oldest = (m.oldest + 1) % m.limit
}
