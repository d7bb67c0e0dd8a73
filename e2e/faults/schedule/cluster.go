package schedule

import "time"

// Faults of a cluster of brokers as a whole; each is undone after its time.
const (
	// KillLeader is SIGKILL of the node that leads the default lane's queue.
	KillLeader Action = "kill-leader"
	// KillTwo is SIGKILL of all nodes but the Nth: what is left has no majority.
	KillTwo Action = "kill-two"
	// RestartAll is SIGKILL of all nodes at once.
	RestartAll Action = "restart-all"
	// Partition parts one node of a cluster from the others, PartitionLeader the one that leads;
	// PartitionOneWay loses only what it sends to them; PartitionFlapping comes and goes.
	Partition         Action = "partition"
	PartitionLeader   Action = "partition-leader"
	PartitionOneWay   Action = "partition-one-way"
	PartitionFlapping Action = "partition-flapping"
)

func nodeWays() []way {
	return []way{
		{action: Kill, weight: 1, least: time.Second, most: long},
		{action: End, weight: 1, least: time.Second, most: long},
		{action: Pause, weight: 1, least: time.Second, most: long},
	}
}

func networkWays() []way {
	return []way{
		{action: Partition, weight: 2, least: time.Second, most: long, long: true, nth: 3},
		{action: PartitionLeader, weight: 2, least: time.Second, most: long, long: true, nth: 1},
		{action: PartitionOneWay, weight: 1, least: time.Second, most: long, long: true, nth: 3},
		{action: PartitionFlapping, weight: 1, least: 4 * time.Second, most: long, nth: 3},
	}
}

func clusterWays() []way {
	return []way{
		{action: KillLeader, weight: 2, least: time.Second, most: long, nth: 1},
		{action: KillTwo, weight: 1, least: time.Second, most: long, nth: 3},
		{action: RestartAll, weight: 1, least: 200 * time.Millisecond, most: 4 * time.Second},
	}
}
