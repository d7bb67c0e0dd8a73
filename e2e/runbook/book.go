// Package runbook makes happen what docs/operations.md starts from, a device that is down, a lane that is backed up, on a platform of
// its own, runs the commands that the page names, and keeps what they print.
package runbook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/cupline/cupline/e2e/platform"
	"github.com/cupline/cupline/local/services"
)

// Book holds what was typed and printed, by the names of the page's blocks.
type Book map[string]string

// patience is how long anything may take: far more than it does, since the machine may be busy.
const patience = 90 * time.Second

// Run starts a platform in that folder, makes everything happen on it, and ends it.
func Run(ctx context.Context, folder string) (book Book, err error) {
	starting, cancel := context.WithTimeout(ctx, platform.StartLimit)
	defer cancel()
	site, err := platform.StartWith(starting, folder, platform.Extra{})
	defer func() {
		if err != nil {
			site.Report(os.Stderr)
		}
		ending, done := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer done()
		err = errors.Join(err, site.Stop(ending))
	}()
	if err != nil {
		return nil, err
	}
	for name, program := range map[string]string{"api": services.API, "pusher-0": services.Pusher} {
		if _, err := site.Run(starting, name, program, map[string]string{
			"CUPLINE_SLOT": name, "CUPLINE_FIGURES_EVERY": "1s", "RABBITMQ_MANAGEMENT_URL": site.Broker.ManagementURL(),
		}); err != nil {
			return nil, err
		}
	}
	s := &shift{site: site, book: Book{}}
	if err := s.dispatch(starting); err != nil {
		return nil, err
	}
	if s.lamp, err = newLamp(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.lamp.discard()) }()
	if err := s.furnish(starting, "http://"+s.lamp.address); err != nil {
		return nil, err
	}
	for _, scene := range s.scenes() {
		within, done := context.WithTimeout(ctx, 2*patience)
		s.block = scene.block
		err := scene.play(within)
		done()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", scene.block, err)
		}
	}
	return s.book, nil
}

// shift is an operator's.
type shift struct {
	site *platform.Platform
	env  map[string]string
	lamp *lamp
	book Book
	// block that is being written.
	block string
}

// dispatch starts the dispatcher.
func (s *shift) dispatch(ctx context.Context) error {
	_, err := s.site.Run(ctx, "dispatcher-0", services.Dispatcher, map[string]string{"CUPLINE_HTTP_ALLOWED_NETWORKS": "127.0.0.0/8", "CUPLINE_FIGURES_EVERY": "1s"})
	return err
}

// furnish makes the operator's key, and the devices.
func (s *shift) furnish(ctx context.Context, lamp string) error {
	printed, err := s.site.CLI(ctx, "keys", "create", "--database", "--tenant", "shop", "--client", "web", "--output", "json", "--scope",
		"commands:send,replies:read,devices:read,devices:write,ops:read,ops:write,ops:platform")
	if err != nil {
		return err
	}
	var made struct{ Token string }
	if err := json.Unmarshal(printed, &made); err != nil {
		return fmt.Errorf("read the key: %w", err)
	}
	s.env = map[string]string{
		"CUPLINE_API_URL": "http://" + s.site.Service("api").Public, "CUPLINE_PUSH_URL": "ws://" + s.site.Service("pusher-0").Public,
		"CUPLINE_KEY": made.Token, "DATABASE_URL": s.site.Database.URL(), "USER": "ann", "HOME": s.site.Folder(), "TZ": "UTC", "PATH": s.site.Programs() + ":" + os.Getenv("PATH"),
	}
	const types = `{"lane":"default","driver":"%s","methods":{"relay.set":{"idempotent":false,"timeout":"2s","ttl":"10m"}}}`
	for _, line := range []string{
		fmt.Sprintf(`echo '`+types+`' | cupline device-types put lamp --file -`, "http"),
		fmt.Sprintf(`cupline devices put lamp-1 --type lamp --address '{"url":%q}'`, lamp),
	} {
		if _, err := s.run(ctx, line); err != nil {
			return err
		}
	}
	return nil
}

// run has the shell run a line, and returns what it printed to both of its outputs.
func (s *shift) run(ctx context.Context, line string) (string, error) {
	command := exec.CommandContext(ctx, "sh", "-c", line)
	for name, value := range maps.All(s.env) {
		command.Env = append(command.Env, name+"="+value)
	}
	var both bytes.Buffer
	command.Stdout, command.Stderr = &both, &both
	err := command.Run()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", line, err, both.String())
	}
	return both.String(), err
}

// note keeps a line and what it printed.
func (s *shift) note(line, printed string) {
	s.book[s.block] += "$ " + line + "\n" + strings.TrimRight(printed, "\n") + "\n"
}

// types is run, for the page.
func (s *shift) types(ctx context.Context, line string) error {
	printed, err := s.run(ctx, line)
	s.note(line, printed)
	return err
}

// fails is types for a line that is refused; what it prints has the word in it.
func (s *shift) fails(ctx context.Context, line, word string) error {
	printed, err := s.run(ctx, line)
	s.note(line, printed)
	if err == nil || !strings.Contains(printed, word) {
		return fmt.Errorf("%s did not fail with %s: %s", line, word, printed)
	}
	return nil
}

// sees is types once the line prints what is looked for.
func (s *shift) sees(ctx context.Context, line string, has func(printed string) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for last := ""; ; {
		printed, err := s.run(ctx, line)
		if err == nil && has(printed) {
			s.note(line, printed)
			return nil
		}
		if ctx.Err() == nil {
			last = printed
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s never printed what it should, at last %s, %w", line, last, errors.Join(err, ctx.Err()))
		}
	}
}

// ask reads one field of each line of JSON that a command prints.
func (s *shift) ask(ctx context.Context, line, field string) (values []string, err error) {
	printed, err := s.run(ctx, line+" --output json")
	if err != nil {
		return nil, err
	}
	for one := range strings.Lines(printed) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(one), &fields); err != nil {
			return nil, fmt.Errorf("%s printed %s: %w", line, one, err)
		}
		values = append(values, fmt.Sprint(fields[field]))
	}
	if len(values) == 0 {
		err = fmt.Errorf("%s printed nothing", line)
	}
	return values, err
}

// words are looked for in one line of what is printed, in that order.
func words(wanted ...string) func(string) bool {
	return func(printed string) bool {
		for line := range strings.Lines(printed) {
			rest, all := line, true
			for _, word := range wanted {
				at := strings.Index(rest, word)
				if all = at >= 0; !all {
					break
				}
				rest = rest[at+len(word):]
			}
			if all {
				return true
			}
		}
		return false
	}
}
