package suite

import (
	"slices"
	"strings"
	"testing"

	"github.com/cupline/cupline/chassis/failpoint"
	"github.com/cupline/cupline/e2e/faults/link"
	"github.com/cupline/cupline/e2e/faults/schedule"
	"github.com/cupline/cupline/e2e/platform"
	"github.com/cupline/cupline/local/netns"
	"github.com/cupline/cupline/local/rabbitmq"
)

// whole is a site of three nodes that does not run, with all its parts and links.
func whole() *site {
	s := &site{
		Platform: &platform.Platform{Peers: make([]*rabbitmq.Instance, 2)}, network: &netns.Network{}, disk: &disk{}, wal: &disk{},
		links: map[string]*link.Link{}, outside: map[string]bool{}, nodes: map[string]*rabbitmq.Instance{broker: nil, "broker-1": nil, "broker-2": nil},
	}
	s.parts = parts()
	for _, p := range s.parts {
		for _, to := range []string{broker, "broker-1", "broker-2", database} {
			s.links[p.name+wire+to] = nil
		}
	}
	s.parts = append(s.parts, part{name: "agent-" + tenantName(0)}, part{name: "agent-" + tenantName(1)})
	for _, name := range []string{"client online to pusher 0", "client slow to api 1", "web-0", "thing-1"} {
		s.outside[name+of+tenantName(0)] = true
	}
	s.outside["clients to api-0"] = true
	return s
}

// TestEveryFaultThatIsPromisedIsDrawn: each service, link, point and kind of thing, in every way that there is to break it.
func TestEveryFaultThatIsPromisedIsDrawn(t *testing.T) {
	t.Parallel()
	drawn := map[string]bool{}
	for _, f := range schedule.Every(1, whole().targets(), nil) {
		drawn[string(f.Action)+" "+f.Kind] = true
	}
	cross := func(actions, kinds string) {
		for _, action := range strings.Split(actions, ",") {
			for _, kind := range strings.Split(kinds, ",") {
				if !drawn[action+" "+kind] {
					t.Errorf("never: %s %s", action, kind)
				}
			}
		}
	}
	cross("kill,pause,end,clock-ahead,clock-behind", "api,dispatcher,recorder,pusher,agent")
	for _, service := range []string{"api", "dispatcher", "recorder", "pusher"} {
		cross("cut,refuse,half-open,slow,trickle,answers-lost", service+" to broker,"+service+" to database")
	}
	cross("cut,refuse,half-open,slow,trickle,answers-lost", "a device over HTTP,a device over MQTT,all devices over MQTT,a client to api,a client to pusher,all clients to api")
	cross("kill,pause,end", "a node of the broker")
	cross("kill-leader,kill-two,restart-all", cluster)
	cross("partition,partition-leader,partition-one-way,partition-flapping", betweenNodes)
	cross("memory-alarm,disk-alarm,queue-full,no-dead-letters,policy,consumer-timeout", inBroker)
	cross("kill,end", database)
	cross("database-slow,database-read-only,database-connections", inDatabase)
	cross("database-full", inDatabase+"'s disk")
	cross("database-log-full", database+"'s log")
	cross("rolling,scale-dispatchers,scale-pushers,retire-pusher", fleet)
	cross("tenant-stuck", "devices of a tenant")
	cross("lane-stuck", "lane default,lane aside")
}

// TestEveryPointIsSomebodys: no failpoint that services pass is one that nobody is killed at.
func TestEveryPointIsSomebodys(t *testing.T) {
	t.Parallel()
	targets := whole().targets()
	for _, point := range []failpoint.Point{
		failpoint.BeforePublish, failpoint.AfterPublish, failpoint.AfterClaim, failpoint.AfterAnswer, failpoint.AfterOutcome, failpoint.BeforeAck,
		failpoint.AfterPush, failpoint.InMailbox, failpoint.AfterMailbox, failpoint.InSettle, failpoint.BeforeRedrive, failpoint.AfterRedrive,
	} {
		if !slices.ContainsFunc(targets, func(target schedule.Target) bool {
			return target.Class == schedule.Point && strings.HasSuffix(target.Name, at+string(point))
		}) {
			t.Errorf("nobody is killed at %s", point)
		}
	}
}
