package telemetry

import "sync"

// Other is the label for words past the bound of a Words.
const Other = "other"

// Words keeps a label bounded whose values come from outside: the first so many words are
// told apart, later ones are Other. It is safe for concurrent use.
type Words struct {
	most int

	mu    sync.RWMutex // guards known
	known map[string]struct{}
}

// NewWords makes one for at most that many words.
func NewWords(most int) *Words { return &Words{most: most, known: make(map[string]struct{})} }

// Label is the word itself, or Other.
func (w *Words) Label(word string) string {
	w.mu.RLock()
	_, known := w.known[word]
	full := len(w.known) >= w.most
	w.mu.RUnlock()
	switch {
	case known:
		return word
	case full:
		return Other
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.known[word]; !known && len(w.known) >= w.most {
		return Other
	}
	w.known[word] = struct{}{}
	return word
}
