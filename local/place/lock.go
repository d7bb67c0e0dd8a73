package place

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// ErrLocked is wrapped by [Take]'s error while another process has the folder.
var ErrLocked = errors.New("in use by another process")

// Lock is one process's claim on a folder. The kernel ends it with the process, however that ends.
type Lock struct {
	file *os.File
}

// Take claims a folder for this process without waiting. The error wraps [ErrLocked] when another has it, also when
// that one deletes it meanwhile.
func Take(folder string) (*Lock, error) {
	path := filepath.Join(folder, "lock")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("claim the folder %s: %w", folder, err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) || err == nil && !still(path, file) {
		err = ErrLocked
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("claim the folder %s: %w", folder, err), file.Close())
	}
	return &Lock{file: file}, nil
}

// still reports whether path is the open file: its folder may have been deleted between opening and locking it.
func still(path string, file *os.File) bool {
	there, err := os.Stat(path)
	if err != nil {
		return false
	}
	opened, err := file.Stat()
	return err == nil && os.SameFile(there, opened)
}

// Release gives the folder up. A nil lock is none.
func (l *Lock) Release() error {
	if l == nil {
		return nil
	}
	// Said to the kernel, not left to the closing: a child that another goroutine is just starting has the open file, too, until
	// its exec, and with it the claim.
	_ = syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN) // closed already, it is given up already
	if err := l.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("give up the claim on %s: %w", filepath.Dir(l.file.Name()), err)
	}
	return nil
}
