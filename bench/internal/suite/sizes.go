package suite

import (
	"errors"
	"fmt"
)

// Sizes of the trials.
type Sizes struct {
	// Sockets are the numbers of idle clients on one pusher, Shared those on two.
	Sockets, Shared []int
	// Storm is the number of clients on two pushers of which one is killed.
	Storm int
	// Push are the numbers of clients that outcomes are pushed to; SlowAmong that of those among whom one is slow.
	Push      []int
	SlowAmong int
	// Mailbox is how many outcomes wait in mailboxes, MailboxClients how many fetch them.
	Mailbox        int
	MailboxClients []int
	// Members are the numbers of dispatchers, and of pushers.
	Members []int
	// Backlog is how many commands wait, Intake how many a second are posted meanwhile.
	Backlog int
	Intake  float64
	// Devices, Keys, and Letters are what the tables grow to, Connected how many clients listen then.
	Devices, Keys, Connected, Letters int
}

// fullSizes are those that are asked for. A process may open 20,000 files on many machines: one pusher holds fewer sockets.
func fullSizes() Sizes {
	return Sizes{
		Sockets: []int{1000, 4000, 10_000, 18_000}, Shared: []int{36_000}, Storm: 16_000,
		Push: []int{1, 100, 1000, 20_000}, SlowAmong: 100, Mailbox: 1_000_000, MailboxClients: []int{1, 1000},
		Members: []int{1, 2, 4}, Backlog: 1_000_000, Intake: 200,
		Devices: 1_000_000, Keys: 1_000_000, Connected: 500, Letters: 1_000_000,
	}
}

// smallSizes show that each trial works.
func smallSizes() Sizes {
	return Sizes{
		Sockets: []int{20}, Shared: []int{40}, Storm: 40, Push: []int{1, 20}, SlowAmong: 20, Mailbox: 1000, MailboxClients: []int{1, 10},
		Members: []int{1, 2}, Backlog: 500, Intake: 20, Devices: 500, Keys: 500, Connected: 10, Letters: 500,
	}
}

// mostSockets of one pusher: a file each, below the 20,000 that a process may often open.
const mostSockets = 18_500

func (s Sizes) check() error {
	var problems []error
	within := func(name string, least, most int, values ...int) {
		for _, n := range values {
			if n < least || n > most {
				problems = append(problems, fmt.Errorf("%s is %d: must be %d to %d", name, n, least, most))
			}
		}
	}
	within("sockets", 1, mostSockets, s.Sockets...)
	within("sockets on two pushers", 2, 2*mostSockets, s.Shared...)
	within("the storm", 2, mostSockets, s.Storm)
	within("clients to push to", 1, 2*mostSockets, s.Push...)
	within("clients beside a slow one", 2, mostSockets, s.SlowAmong)
	within("outcomes in mailboxes", 1, 100_000_000, s.Mailbox)
	within("clients with mailboxes", 1, mostSockets, s.MailboxClients...)
	within("dispatchers and pushers", 1, 16, s.Members...)
	within("the backlog", batchSize, 10_000_000, s.Backlog)
	within("devices to grow to", 1, 10_000_000, s.Devices)
	within("keys to grow to", 1, 10_000_000, s.Keys)
	within("clients to grow to", 1, 10_000, s.Connected)
	within("dead letters to grow to", 100, 10_000_000, s.Letters)
	if s.Intake < 1 {
		problems = append(problems, fmt.Errorf("the intake beside a backlog is %g per second: must be 1 or more", s.Intake))
	}
	return errors.Join(problems...)
}
