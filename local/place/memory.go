package place

import "sync/atomic"

// Memory is what a folder remembers of its instance, at hand: one may read it at any time, also while another starts the
// instance. T is how it is written; see [Folder.Remember].
type Memory[T any] struct{ known atomic.Pointer[T] }

// Get is what was recalled or remembered last, and T's zero value before that.
func (m *Memory[T]) Get() (known T) {
	if last := m.known.Load(); last != nil {
		known = *last
	}
	return known
}

// Recall reads what the folder remembers. The error is [Folder.Recall]'s; what is at hand stays then.
func (m *Memory[T]) Recall(f Folder) error {
	var known T
	if err := f.Recall(&known); err != nil {
		return err
	}
	m.known.Store(&known)
	return nil
}

// Remember keeps a value in the folder, and then at hand.
func (m *Memory[T]) Remember(f Folder, value T) error {
	if err := f.Remember(value); err != nil {
		return err
	}
	m.known.Store(&value)
	return nil
}
