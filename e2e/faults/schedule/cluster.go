package schedule

// Faults of a cluster of brokers as a whole; each is undone after its time.
const (
	// KillLeader is SIGKILL of the node that leads the default lane's queue.
	KillLeader Action = "kill-leader"
	// KillTwo is SIGKILL of all nodes but the Nth: what is left has no majority.
	KillTwo Action = "kill-two"
	// RestartAll is SIGKILL of all nodes at once.
	RestartAll Action = "restart-all"
)
