// Package relay is a switch that counts how often it was really switched, so that whoever
// doubts that a command is never executed twice can look.
package relay

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cupline/cupline/agent/internal/rpc"
)

const (
	// logName is the file in the state folder that gets one line for each execution. It is
	// the relay's state: read at start, appended to before an execution is answered.
	logName = "executions.log"
	// maxLog is the size at which the log moves to executions.log.1, replacing the one
	// before, and maxCounted is how many command ids are counted one by one: the last ones.
	maxLog     = 32 << 20
	maxCounted = 100_000
)

// Entry is one line of the log.
type Entry struct {
	At        time.Time `json:"at"`
	CommandID string    `json:"command_id"`
	Method    string    `json:"method"`
	On        bool      `json:"on"`
	// Executions counts all executions up to this one.
	Executions int64 `json:"executions"`
}

// Relay is the switch. It is safe for concurrent use.
type Relay struct {
	path string

	mu     sync.Mutex
	log    *os.File
	size   int64
	torn   bool // the log's last line has no end
	last   Entry
	counts map[string]int64
	order  []string // of the ids in counts, oldest first
}

// Open reads the relay's state from a folder, which is made if need be.
func Open(folder string) (*Relay, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("open the relay's state: %w", err)
	}
	r := &Relay{path: filepath.Join(folder, logName), counts: map[string]int64{}}
	for _, path := range []string{r.path + ".1", r.path} {
		if err := r.replay(path); err != nil {
			return nil, fmt.Errorf("open the relay's state: %w", err)
		}
	}
	if err := r.openLog(); err != nil {
		return nil, fmt.Errorf("open the relay's state: %w", err)
	}
	return r, nil
}

// replay counts the executions of a log. A line that was cut by the machine's end is left out.
func (r *Relay) replay(path string) error {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var e Entry
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Executions > 0 {
			r.count(e)
		}
	}
	return lines.Err()
}

func (r *Relay) openLog() error {
	file, err := os.OpenFile(r.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	// A line that was cut must not swallow the next one; an empty line more does no harm.
	r.log, r.size, r.torn = file, info.Size(), info.Size() > 0
	return nil
}

// Close closes the log.
func (r *Relay) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Close()
}

// Add puts the relay's methods into the table.
func (r *Relay) Add(t rpc.Table) {
	t["relay.set"] = r.set
	t["relay.get"] = r.get
}

// State is the answer of both methods.
type State struct {
	On bool `json:"on"`
	// Executions counts every relay.set that was ever executed here, and CommandExecutions
	// those under one command id: the caller's own for relay.set, the one asked for with relay.get.
	Executions        int64 `json:"executions"`
	CommandExecutions int64 `json:"command_executions"`
}

func (r *Relay) set(_ context.Context, c rpc.Call) (any, error) {
	var params struct {
		On *bool `json:"on"`
	}
	if err := c.Bind(&params); err != nil {
		return nil, err
	}
	if params.On == nil {
		return nil, rpc.BadParams(`"on" is missing: true or false`)
	}
	return r.Execute(c, *params.On)
}

// Execute switches the relay and writes down that it did.
func (r *Relay) Execute(c rpc.Call, on bool) (State, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := Entry{
		At: time.Now().UTC(), CommandID: c.CommandID(), Method: c.Method, On: on, Executions: r.last.Executions + 1,
	}
	if err := r.append(e); err != nil {
		return State{}, fmt.Errorf("write down the execution: %w", err)
	}
	r.count(e)
	return r.state(e.CommandID), nil
}

// On tells how the relay stands.
func (r *Relay) On() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last.On
}

func (r *Relay) get(_ context.Context, c rpc.Call) (any, error) {
	var params struct {
		CommandID string `json:"command_id"`
	}
	if err := c.Bind(&params); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state(params.CommandID), nil
}

func (r *Relay) state(commandID string) State {
	return State{On: r.last.On, Executions: r.last.Executions, CommandExecutions: r.counts[commandID]}
}

func (r *Relay) append(e Entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if r.size > maxLog {
		if err := r.rotate(); err != nil {
			return err
		}
	}
	line = append(line, '\n')
	if r.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := r.log.Write(line)
	r.size += int64(n)
	r.torn = err != nil
	return err
}

func (r *Relay) rotate() error {
	if err := os.Rename(r.path, r.path+".1"); err != nil {
		return err
	}
	old := r.log
	if err := r.openLog(); err != nil {
		return err
	}
	return old.Close()
}

func (r *Relay) count(e Entry) {
	r.last = e
	if r.counts[e.CommandID]++; r.counts[e.CommandID] > 1 {
		return
	}
	r.order = append(r.order, e.CommandID)
	if len(r.order) > maxCounted {
		delete(r.counts, r.order[0])
		r.order = r.order[1:]
	}
}
