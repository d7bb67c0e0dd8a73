package runbook

import (
	"context"
	"fmt"
	"strings"
)

// scene is one block of the page.
type scene struct {
	block string
	play  func(ctx context.Context) error
}

// scenes in the order in which they are played: what one leaves, the next may find.
func (s *shift) scenes() []scene {
	return []scene{
		{"device down", s.deviceDown}, {"redrive after an outage", s.redrive}, {"two operators", s.conflict}, {"discard and undo", s.discard},
		{"poison message", s.poison}, {"lane backed up", s.backlog}, {"hold back", s.hold},
		{"a client missing replies", s.missing}, {"broker full", s.full}, {"postgres away", s.databaseAway},
		{"a command never ends", s.open},
	}
}

// orders sends commands of the client to the lamp.
func (s *shift) orders(ctx context.Context, ids ...string) (commands []string, err error) {
	for _, id := range ids {
		accepted, err := s.ask(ctx, fmt.Sprintf(`cupline send lamp-1 relay.set '{"on":true}' --id %s`, id), "command_id")
		if err != nil {
			return nil, err
		}
		commands = append(commands, accepted...)
	}
	return commands, nil
}

// plays runs steps until one fails.
func plays(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (s *shift) deviceDown(ctx context.Context) error {
	if _, err := s.orders(ctx, "order-1", "order-2", "order-3"); err != nil {
		return err
	}
	var letters []string
	var redriven string
	return plays(
		func() error {
			return s.sees(ctx, "cupline dead-letters groups --since 1h", words(" 3 ", " 3 ", "device_offline"))
		},
		func() error { return s.types(ctx, "cupline dead-letters list --device lamp-1") },
		func() (err error) {
			letters, err = s.ask(ctx, "cupline dead-letters list --device lamp-1", "letter_id")
			return err
		},
		func() error {
			return s.types(ctx, fmt.Sprintf(`cupline dead-letters redrive %s --reason "phone call: lamp has power"`, letters[0]))
		},
		func() error {
			told, err := s.ask(ctx, "cupline dead-letters show "+letters[0], "redriven_as")
			if err == nil {
				redriven = told[0]
			}
			return err
		},
		func() error { return s.sees(ctx, "cupline history "+redriven, words("dead letter", "open")) },
	)
}

func (s *shift) redrive(ctx context.Context) error {
	if err := s.lamp.on(ctx); err != nil {
		return err
	}
	const choose = "--device lamp-1 --state open"
	return plays(
		func() error { return s.types(ctx, "cupline dead-letters job start redrive --device lamp-1 --dry-run") },
		func() error {
			return s.types(ctx, `cupline dead-letters job start redrive --device lamp-1 --why "power is back" --rate 5 --canary 1 --wait`)
		},
		func() error {
			jobs, err := s.ask(ctx, "cupline dead-letters job list", "job_id")
			if err != nil {
				return err
			}
			return s.sees(ctx, "cupline dead-letters job items "+jobs[0], func(printed string) bool { return strings.Count(printed, "answered") == 3 })
		},
		func() error { return s.types(ctx, "cupline dead-letters list "+choose) },
	)
}

func (s *shift) conflict(ctx context.Context) error {
	letters, err := s.ask(ctx, "cupline dead-letters list --device lamp-1 --state redriven", "letter_id")
	if err != nil {
		return err
	}
	return plays(
		func() error {
			return s.fails(ctx, fmt.Sprintf("cupline dead-letters redrive %s --reason again", letters[0]), "409 letter_state")
		},
		func() error { return s.types(ctx, "cupline audit --stage operator --limit 3") },
	)
}

func (s *shift) discard(ctx context.Context) error {
	if err := s.lamp.off(); err != nil {
		return err
	}
	if _, err := s.orders(ctx, "order-4", "order-5"); err != nil {
		return err
	}
	var job []string
	block := s.block
	return plays(
		func() error {
			s.block = ""
			defer func() { s.block = block }()
			return s.sees(ctx, "cupline dead-letters groups --device lamp-1 --state open", words(" 2 ", " 2 "))
		},
		func() error {
			return s.types(ctx, `cupline dead-letters job start discard --device lamp-1 --why "orders are cancelled" --wait`)
		},
		func() (err error) {
			job, err = s.ask(ctx, "cupline dead-letters job list", "job_id")
			return err
		},
		func() error {
			return s.types(ctx, fmt.Sprintf(`cupline dead-letters job start undo --job %s --why "they are not" --wait`, job[0]))
		},
	)
}

func (s *shift) poison(ctx context.Context) error {
	if err := s.publish(ctx, "cupline.commands", "default.nobody.lamp-1", "\x00 no JSON {"); err != nil {
		return err
	}
	const list = "cupline dead-letters list --tenant system"
	return plays(
		func() error { return s.sees(ctx, list, words("open", "undeliverable")) },
		func() error {
			letters, err := s.ask(ctx, list, "letter_id")
			if err != nil {
				return err
			}
			return plays(
				func() error { return s.types(ctx, "cupline dead-letters show --tenant system "+letters[0]) },
				func() error {
					return s.fails(ctx, "cupline dead-letters redrive --tenant system --reason retry "+letters[0], "not_redrivable")
				},
				func() error {
					return s.types(ctx, `cupline dead-letters discard --tenant system --reason "a test of the gateway's maker" `+letters[0])
				},
			)
		},
	)
}

func (s *shift) backlog(ctx context.Context) error {
	if err := s.site.End(ctx, "dispatcher-0"); err != nil {
		return err
	}
	if _, err := s.orders(ctx, "order-6", "order-7"); err != nil {
		return err
	}
	return plays(
		func() error {
			return s.sees(ctx, "cupline queues", words("cupline.work.default", "lane", " 2 ", " 0 ", " 0 "))
		},
		func() error { return s.types(ctx, "cupline lanes drain default --dry-run") },
		func() error {
			return s.types(ctx, `cupline lanes drain default --reason "orders of last night" --wait`)
		},
		func() error { return s.dispatch(ctx) }, // its recorder tells the clients
		func() error {
			return s.sees(ctx, "cupline dead-letters list --reason discarded", func(printed string) bool { return strings.Count(printed, "discarded") >= 4 })
		},
	)
}

func (s *shift) hold(ctx context.Context) error {
	return plays(
		func() error { return s.types(ctx, `cupline devices pause lamp-1 --reason "the cable is changed"`) },
		func() error { return s.types(ctx, `cupline lanes pause default --reason "the gateway is updated"`) },
		func() error { return s.types(ctx, "cupline lanes list") },
		func() error { return s.types(ctx, `cupline lanes resume default --reason "it is up again"`) },
		func() error { return s.types(ctx, `cupline devices resume lamp-1 --reason "the cable is changed"`) },
	)
}

func (s *shift) missing(ctx context.Context) error {
	commands, err := s.orders(ctx, "order-8")
	if err != nil {
		return err
	}
	return plays(
		func() error { return s.sees(ctx, "cupline history "+commands[0], words("stored_in_mailbox")) },
		func() error {
			return s.fails(ctx, "cupline history 01908c3e-7d2a-7000-8000-000000000001", "404")
		},
	)
}

func (s *shift) full(ctx context.Context) error {
	const ease = "vm_memory_monitor set_vm_memory_high_watermark [0.4]"
	if err := s.site.Broker.Apply(ctx, "vm_memory_monitor set_vm_memory_high_watermark [0.0001]"); err != nil {
		return err
	}
	const send = `cupline send lamp-1 relay.set '{"on":true}'`
	err := plays(
		func() error { return s.blocked(ctx, send) },
		func() error { return s.types(ctx, "cupline queues") },
	)
	if eased := s.site.Broker.Apply(context.WithoutCancel(ctx), ease); err == nil {
		err = eased
	}
	if err != nil {
		return err
	}
	return s.sees(ctx, send, words("accepted"))
}

// blocked types a line that fails once the broker's alarm is heard; what was in doubt before that is none of the page.
func (s *shift) blocked(ctx context.Context, line string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for ctx.Err() == nil {
		if printed, err := s.run(ctx, line); err != nil && strings.Contains(printed, "broker_blocked") {
			s.note(line, printed)
			return nil
		}
	}
	return fmt.Errorf("%s was never refused: %w", line, ctx.Err())
}

func (s *shift) databaseAway(ctx context.Context) error {
	if err := s.site.Database.Stop(ctx); err != nil {
		return err
	}
	err := plays(
		func() error { return s.fails(ctx, "cupline dead-letters groups", "503 database_unavailable") },
		func() error { return s.types(ctx, "cupline queues") },
	)
	if back := s.site.Database.Start(context.WithoutCancel(ctx)); err == nil {
		err = back
	}
	if err != nil {
		return err
	}
	return s.sees(ctx, "cupline dead-letters groups --since 1h", words("GROUP"))
}
