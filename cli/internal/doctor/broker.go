package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/exit"
	"github.com/cupline/cupline/cli/internal/management"
	"github.com/cupline/cupline/cli/internal/topology"
	declared "github.com/cupline/cupline/schema/topology"
)

// brokerLimit bounds all questions to the broker.
const brokerLimit = 90 * time.Second

// overview is what the broker says of itself.
type overview struct {
	Version string `json:"rabbitmq_version"`
	Cluster string `json:"cluster_name"`
}

// node of the broker's cluster.
type node struct {
	Name        string   `json:"name"`
	Running     bool     `json:"running"`
	MemoryAlarm bool     `json:"mem_alarm"`
	DiskAlarm   bool     `json:"disk_free_alarm"`
	DiskFree    int64    `json:"disk_free"`
	DiskLimit   int64    `json:"disk_free_limit"`
	MemoryUsed  int64    `json:"mem_used"`
	MemoryLimit int64    `json:"mem_limit"`
	Partitions  []string `json:"partitions"`
	ConfigFiles []string `json:"config_files"`
}

// broker examines the broker.
func (p *patient) broker(ctx context.Context, k known) error {
	address, amqp := p.console.Getenv(connect.ManagementURL), p.console.Getenv(connect.AMQPURL)
	if address == "" || amqp == "" {
		p.unknown(Broker, fmt.Sprintf("not looked at: %s and %s are not both set", connect.ManagementURL, connect.AMQPURL), "set them, and look again")
		return nil
	}
	api, err := management.New(address, amqp)
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	defer api.Close()
	ctx, cancel := context.WithTimeout(ctx, brokerLimit)
	defer cancel()
	var o overview
	asked := p.now()
	dated, err := api.Dated(ctx, &o, "overview")
	if err != nil {
		p.bad(Broker, "management", err.Error(), "start the broker with the plugin rabbitmq_management; "+connect.ManagementURL+" needs a user with the tag monitoring")
		return nil
	}
	p.clock("the broker", asked, dated)
	p.reach(ctx, k)
	if !supported(o.Version) {
		p.bad(Broker, "version", o.Version+" is older than 3.10", "upgrade RabbitMQ: quorum queues before 3.10 have no time-to-live and no at-least-once dead letters")
	}
	for _, look := range []func(context.Context, *management.Client, known) error{
		p.cluster, p.declared, p.queues, p.policies,
	} {
		if err := look(ctx, api, k); err != nil {
			p.refused(err)
		}
	}
	p.fine(Broker, "RabbitMQ %s, %s, virtual host %s", o.Version, o.Cluster, api.VHost)
	return nil
}

// refused notes a question that was not answered.
func (p *patient) refused(err error) {
	var status *management.StatusError
	if errors.As(err, &status) && (status.Code == http.StatusUnauthorized || status.Code == http.StatusForbidden) {
		p.unknown(Broker, err.Error(), "use a user with the tag monitoring, and read rights on the virtual host")
		return
	}
	p.bad(Broker, "management", err.Error(), "look into the broker's log")
}

// reach opens a connection as services do, and counts there who takes from the queues that somebody
// has to take from: the management API's figures lag by seconds.
func (p *patient) reach(ctx context.Context, k known) {
	link, err := connect.Broker(ctx, p.console)
	if err != nil {
		p.bad(Broker, "AMQP", err.Error(), "see whether "+connect.AMQPURL+" has the right host, port, user, password and virtual host")
		return
	}
	p.takers = map[string]int{}
	for _, q := range declared.Whole(k.lanes...).Queues {
		err := link.Do(ctx, func(ctx context.Context, s *broker.Session) error {
			_, consumers, err := s.Inspect(ctx, q.Name)
			if err == nil {
				p.takers[q.Name] = consumers
			}
			return err
		})
		if err != nil && !errors.Is(err, broker.ErrNotFound) {
			break // a user who may not look: the management API's figures have to do
		}
	}
	if err := link.Stop(context.WithoutCancel(ctx)); err != nil {
		p.warn(Broker, "AMQP", fmt.Sprintf("the connection did not end in order: %v", err), "look into the broker's log")
	}
}

// supported tells whether a version is 3.10 or later.
func supported(version string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		return false
	}
	return major > 3 || major == 3 && minor >= 10
}

// cluster examines the nodes, and what they say of memory and disk.
func (p *patient) cluster(ctx context.Context, api *management.Client, k known) error {
	var nodes []node
	if err := api.Get(ctx, &nodes, "nodes"); err != nil {
		return err
	}
	for _, n := range nodes {
		if !n.Running {
			p.bad(Cluster, n.Name, "not running", "start it; a node that is gone for good: rabbitmqctl forget_cluster_node")
		}
		if len(n.Partitions) > 0 {
			p.bad(Cluster, n.Name, "is parted from "+strings.Join(n.Partitions, ", "),
				"mend the network, restart the nodes of the side that you trust less, and set cluster_partition_handling = pause_minority")
		}
		if n.MemoryAlarm {
			p.bad(Alarms, n.Name, fmt.Sprintf("memory: %d MiB of %d MiB; publishers are blocked, and commands are refused with 503", n.MemoryUsed>>20, n.MemoryLimit>>20),
				"give it memory or raise vm_memory_high_watermark; see what piles up: cupline queues")
		}
		if n.DiskAlarm {
			p.bad(Alarms, n.Name, fmt.Sprintf("disk: %d MiB free, limit %d MiB; publishers are blocked, and commands are refused with 503", n.DiskFree>>20, n.DiskLimit>>20),
				"free space on the node's disk; see what piles up: cupline queues")
		}
	}
	if len(nodes) == 2 {
		p.warn(Cluster, "", "two nodes: when one is down the other has no majority, so this is less available than one node", "run one node, or three")
	}
	p.consumerLimit(nodes, k)
	p.fine(Cluster, "%d nodes, all running", len(nodes))
	p.fine(Alarms, "none")
	return nil
}

// declared compares exchanges, queues and bindings with what they are declared as.
func (p *patient) declared(ctx context.Context, api *management.Client, k known) error {
	differences, err := topology.Compare(ctx, api, declared.Whole(k.lanes...))
	if err != nil {
		return err
	}
	for _, d := range differences {
		subject := d.What + " " + d.Name
		switch {
		case d.Kind == topology.Foreign:
			p.bad(Foreign, subject, d.Detail, d.Remedy)
		case d.Kind == topology.Missing && lost[subject] != "":
			p.bad(DeadLetters, subject, "missing: "+lost[subject], d.Remedy)
		case d.Kind == topology.Missing:
			p.bad(Topology, subject, "missing", d.Remedy)
		default:
			p.bad(Topology, subject, d.Detail, d.Remedy)
		}
	}
	if !k.asked {
		p.warn(Topology, "lanes", "the database was not asked for them: only the default lane is meant", "set "+connect.DatabaseURL)
	}
	p.fine(Topology, "as declared, for %d lanes", len(k.lanes))
	p.fine(Foreign, "none")
	return nil
}

// lost is what becomes of dead letters whose way is missing.
var lost = map[string]string{
	"exchange " + declared.DeadExchange:                                             "commands that expire or fail have nowhere to go, and stay in their queues",
	"queue " + declared.DeadQueue:                                                   "commands that expire or fail have nowhere to go, and stay in their queues",
	"binding " + declared.DeadExchange + " -> " + declared.DeadQueue + " (#)":       "commands that expire or fail have no route, and stay in their queues",
	"exchange " + declared.MailboxExchange:                                          "outcomes of clients that are away have nowhere to go",
	"queue " + declared.MailboxQueue:                                                "outcomes of clients that are away have nowhere to go",
	"binding " + declared.MailboxExchange + " -> " + declared.MailboxQueue + " (#)": "outcomes of clients that are away have no route",
}
