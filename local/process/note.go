package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// note is what a pid file holds. It is written before the process starts, with PID 0, and again when it has.
type note struct {
	Name  string `json:"name"`
	PID   int    `json:"pid"`
	Start uint64 `json:"start_ticks"`
	Boot  string `json:"boot_id"`
	Token string `json:"token"`
}

// bootID tells one start of the machine from another; pids and start times mean something only within one.
func bootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the machine's boot id: %w", err)
	}
	return strings.TrimSpace(string(id)), nil
}

// readNote returns nil when there is no pid file, or one from before the machine last started.
func readNote(path string) (*note, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the pid file: %w", err)
	}
	var found note
	if err := json.Unmarshal(content, &found); err != nil || found.Token == "" {
		return nil, fmt.Errorf("read the pid file %s: it was not written by cupline; delete it if nothing runs there",
			path)
	}
	boot, err := bootID()
	if err != nil || found.Boot != boot {
		return nil, err
	}
	return &found, nil
}

// write replaces the pid file as a whole, so that no reader ever sees half of it.
func (n note) write(path string) error {
	content, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("write the pid file: %w", err)
	}
	fresh, err := os.CreateTemp(filepath.Dir(path), ".pid-*")
	if err != nil {
		return fmt.Errorf("write the pid file %s: %w", path, err)
	}
	_, err = fresh.Write(append(content, '\n'))
	err = errors.Join(err, fresh.Close())
	if err == nil {
		err = os.Rename(fresh.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write the pid file %s: %w", path, err), removeFile(fresh.Name()))
	}
	return nil
}

// leader is the noted process, held so that its pid cannot be given to another meanwhile; nil when it is gone.
func (n note) leader() (*os.Process, error) {
	if n.PID == 0 {
		return nil, nil
	}
	held, gone := os.FindProcess(n.PID)
	start, alive, err := startTime(n.PID)
	if gone == nil && err == nil && alive && start == n.Start {
		return held, nil
	}
	if gone == nil {
		err = errors.Join(err, held.Release())
	}
	return nil, err
}
