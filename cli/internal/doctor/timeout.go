package doctor

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/cupline/cupline/store/health"
)

const (
	// brokersTimeout is RabbitMQ's consumer_timeout unless told.
	brokersTimeout = 30 * time.Minute
	// slack is what a delivery may take besides the method itself: a lost worker's command is
	// held for 2 s past its timeout, and its outcome has to be stored and published.
	slack = 30 * time.Second
)

// consumerLimit holds the broker's consumer timeout against the slowest method: past it the
// broker closes the channel, with all its deliveries.
func (p *patient) consumerLimit(nodes []node, k known) {
	limit, source := p.consumerTimeout, "by --consumer-timeout"
	if limit == 0 {
		limit, source = configured(nodes)
	}
	if k.longest == (health.Slowest{}) {
		p.unknown(ConsumerLimit, "the database was not asked for the slowest method", "set DATABASE_URL")
		return
	}
	needed := k.longest.Timeout + slack
	slowest := "a method with the default timeout"
	if k.longest.Method != "" {
		slowest = k.longest.String()
	}
	if limit > 0 && limit < needed {
		p.bad(ConsumerLimit, "", fmt.Sprintf("%s %s is too short for %s: the broker closes the channel amid it, and all in flight there are delivered again", limit, source, slowest),
			fmt.Sprintf("consumer_timeout = %d in rabbitmq.conf, or a shorter timeout of the method", needed.Milliseconds()))
		return
	}
	p.fine(ConsumerLimit, "%s %s; slowest is %s", limit, source, slowest)
}

// configured finds the timeout in the nodes' own files, where these can be read: the
// management API does not tell it. The shortest counts.
func configured(nodes []node) (time.Duration, string) {
	shortest, source, read := brokersTimeout, "", 0
	for _, n := range nodes {
		for _, path := range n.ConfigFiles {
			limit, found, err := readTimeout(path)
			if err != nil {
				continue
			}
			read++
			if found && (source == "" || limit < shortest) {
				shortest, source = limit, "by "+path
			}
		}
	}
	switch {
	case source != "":
		return shortest, source
	case read > 0:
		return brokersTimeout, "by default"
	}
	return brokersTimeout, "by default (rabbitmq.conf cannot be read from here; --consumer-timeout tells another)"
}

// readTimeout reads consumer_timeout, in milliseconds, from a rabbitmq.conf.
func readTimeout(path string) (limit time.Duration, found bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, false, err
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		key, value, is := strings.Cut(lines.Text(), "=")
		if !is || strings.TrimSpace(key) != "consumer_timeout" {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64); err == nil {
			limit, found = time.Duration(n)*time.Millisecond, true // the last one counts
		}
	}
	return limit, found, lines.Err()
}
