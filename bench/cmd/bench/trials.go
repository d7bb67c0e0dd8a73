package main

import (
	"flag"
	"fmt"
	"strconv"
	"strings"

	"github.com/cupline/cupline/bench/internal/suite"
)

// trials are the flags for the sizes of the cases that are no commands in a loop.
func trials(flags *flag.FlagSet, cfg *suite.Config) {
	s := &cfg.Sizes
	for _, list := range []struct {
		name, usage string
		into        *[]int
	}{
		{"sockets", "idle clients on one pusher", &s.Sockets},
		{"sockets-on-two", "idle clients on two pushers", &s.Shared},
		{"push-clients", "clients that outcomes are pushed to", &s.Push},
		{"drain-clients", "clients that fetch the full mailboxes", &s.MailboxClients},
		{"members", "dispatchers, and pushers, of the case scale", &s.Members},
	} {
		flags.Func(list.name, fmt.Sprintf("%s: `numbers`, with commas between; default %s", list.usage, join(*list.into)), func(text string) (err error) {
			*list.into, err = numbers(text)
			return err
		})
	}
	flags.IntVar(&s.Storm, "storm", s.Storm, "clients on two pushers of which one is killed")
	flags.IntVar(&s.SlowAmong, "slow-among", s.SlowAmong, "clients of the case push-slow, one of them slow")
	flags.IntVar(&s.Mailbox, "mailbox", s.Mailbox, "outcomes that wait in the mailboxes of the case drain")
	flags.IntVar(&s.Backlog, "backlog", s.Backlog, "commands that wait in the case backlog")
	flags.Float64Var(&s.Intake, "intake", s.Intake, "commands a second that are posted beside the backlog")
	flags.IntVar(&s.Devices, "grow-devices", s.Devices, "devices that the case growth grows to")
	flags.IntVar(&s.Keys, "grow-keys", s.Keys, "clients' keys that it grows to")
	flags.IntVar(&s.Connected, "grow-clients", s.Connected, "connected clients that it grows to")
	flags.IntVar(&s.Letters, "letters", s.Letters, "dead letters that it grows to")
	flags.StringVar(&cfg.TestOutput, "test-json", "", "a `file` that go test -json wrote, for the case tests; it runs them itself when not given")
}

func numbers(text string) ([]int, error) {
	var all []int
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil {
			return nil, fmt.Errorf("%q is no number", word)
		}
		all = append(all, n)
	}
	return all, nil
}

func join(all []int) string {
	var words []string
	for _, n := range all {
		words = append(words, strconv.Itoa(n))
	}
	return strings.Join(words, ",")
}
