package schedule

import "time"

// What operators do to the services while commands flow.
const (
	// Rolling ends every service in order and starts it again, one after the other.
	Rolling Action = "rolling"
	// MoreDispatchers and MorePushers add one, and end it after the fault's time.
	MoreDispatchers Action = "scale-dispatchers"
	MorePushers     Action = "scale-pushers"
	// RetirePusher adds a pusher, and kills it for good after the fault's time: its slot is nobody's any more.
	RetirePusher Action = "retire-pusher"
)

func fleetWays() []way {
	return []way{
		{action: Rolling, weight: 1, least: time.Second, most: time.Second},
		{action: MoreDispatchers, weight: 1, least: 4 * time.Second, most: 10 * time.Second},
		{action: MorePushers, weight: 1, least: 4 * time.Second, most: 10 * time.Second},
		{action: RetirePusher, weight: 1, least: 4 * time.Second, most: 10 * time.Second},
	}
}
