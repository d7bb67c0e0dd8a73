package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
)

// options of an examination.
type options struct {
	strict bool
	// services are internal addresses of services, http://host:port.
	services []string
	// consumerTimeout is the broker's; 0 when it is to be found out.
	consumerTimeout time.Duration
	// skew is by how much a clock may differ.
	skew time.Duration
}

// errFound is what an examination ends with that found something.
var errFound = errors.New("the installation needs care")

// Command is `cupline doctor`.
func Command(c *console.Console) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check an installation, and say what to do (operators)", Args: cobra.NoArgs,
		Long: `Look at an installation with all that is set of DATABASE_URL, AMQP_URL with RABBITMQ_MANAGEMENT_URL,
CUPLINE_API_URL and CUPLINE_PUSH_URL, and say of everything that Cupline's promises hang on whether it is so. It changes
nothing and touches no message. Each finding names what to do.

  database          reachable, takes writes, connections left
  migrations        the schema is this program's
  encoding          UTF8
  durability        what was committed survives a crash
  replication       with replicas, commits wait for one
  broker            reachable, 3.10 or later
  cluster           nodes up, no partition, queues have their members
  alarms            memory, disk
  topology          exchanges, queues and bindings as declared
  foreign bindings  that hide missing lanes and devices
  limits            delivery limit, time-to-live and length as they are in force, policies included
  at-least-once     dead letters are passed on at least once: strategy, reject-publish, a route
  dead letters      none is stuck in the broker
  consumers         somebody takes from each lane, the dead letters and the mailbox
  slots             every pusher's slot has its pusher
  consumer timeout  longer than the slowest method
  clocks            of this machine, the broker and the services against the database's
  services          ready, by --service and the URLs

Exit code 10 when there is a problem; with --strict also for a warning, or for what could not be looked at.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return examine(cmd.Context(), c, o) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.strict, "strict", false, "warnings, and what could not be looked at, count as problems")
	flags.StringSliceVar(&o.services, "service", nil, "internal `URL`s of services, http://host:9101, asked for readiness and their clocks")
	flags.DurationVar(&o.consumerTimeout, "consumer-timeout", 0, "the broker's consumer_timeout, where its rabbitmq.conf cannot be read from here")
	flags.DurationVar(&o.skew, "skew", 3*time.Second, "by how much a clock may differ")
	return cmd
}

// patient is an installation under examination.
type patient struct {
	console *console.Console
	options
	chart
	// now is this machine's clock.
	now func() time.Time
	// takers counts consumers by queue, of those that could be asked over AMQP.
	takers map[string]int
	// offset is the database's clock minus this machine's, once dated.
	offset time.Duration
	dated  bool
}

func examine(ctx context.Context, c *console.Console, o options) error {
	p := &patient{console: c, options: o, now: c.Now}
	if p.now == nil {
		p.now = time.Now
	}
	if c.Getenv(connect.DatabaseURL) == "" && c.Getenv(connect.ManagementURL) == "" && c.Getenv(connect.APIURL) == "" && len(o.services) == 0 {
		_, err := connect.Require(c, connect.DatabaseURL, connect.ManagementURL, connect.APIURL)
		return err
	}
	// The database comes first: lanes, the slowest method and the time are in it.
	known, err := p.database(ctx)
	if err == nil {
		err = p.broker(ctx, known)
	}
	if err == nil {
		err = p.services(ctx)
	}
	if err != nil {
		return err
	}
	return p.report()
}

func (p *patient) report() error {
	found := p.sorted()
	problems, warnings, unknown := p.count(Problem), p.count(Warning), p.count(Unknown)
	result := struct {
		Findings []Finding `json:"findings"`
		Problems int       `json:"problems"`
		Warnings int       `json:"warnings"`
		Unknown  int       `json:"unknown"`
	}{found, problems, warnings, unknown}
	err := p.console.Result(result, func(w *strings.Builder) {
		write(w, found)
		fmt.Fprintf(w, "\n%d problems, %d warnings, %d not looked at\n", problems, warnings, unknown)
	})
	if err != nil {
		return err
	}
	if p.strict {
		problems += warnings + unknown
	}
	if problems == 0 {
		return nil
	}
	return exit.With(exit.Different, fmt.Errorf("%w: %d findings", errFound, problems))
}
