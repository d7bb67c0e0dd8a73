package schedule

import "time"

// Action is what is done to a target.
type Action string

// The actions. Each is undone after the fault's time.
const (
	// Kill is SIGKILL; the process is started again.
	Kill Action = "kill"
	// Pause is SIGSTOP, then SIGCONT.
	Pause Action = "pause"
	// End is SIGTERM; the process is started again once it has ended.
	End Action = "end"
	// CutLink closes connections once, RefuseLink keeps them closed, HalfOpenLink forwards
	// nothing, SlowLink delays, TrickleLink lets one byte a second through.
	CutLink      Action = "cut"
	RefuseLink   Action = "refuse"
	HalfOpenLink Action = "half-open"
	SlowLink     Action = "slow"
	TrickleLink  Action = "trickle"
	// LoseAnswers lets through what a process says, and none of the answers, and then cuts: what
	// was asked for is done, and nobody is told.
	LoseAnswers Action = "answers-lost"
	// TenantStuck lets none of a tenant's devices answer.
	TenantStuck Action = "tenant-stuck"
	// LaneStuck stops all dispatchers of a lane in their tracks.
	LaneStuck Action = "lane-stuck"
	// DatabaseSlow delays all links to the database; DatabaseReadOnly lets nobody write;
	// DatabaseCrowded takes all its connections; DatabaseFull fills the disk of its tables, DatabaseLogFull that of its
	// write-ahead log, which ends it.
	DatabaseSlow     Action = "database-slow"
	DatabaseReadOnly Action = "database-read-only"
	DatabaseCrowded  Action = "database-connections"
	DatabaseFull     Action = "database-full"
	DatabaseLogFull  Action = "database-log-full"
	// MemoryAlarm and DiskAlarm make the broker take no messages; QueueFull makes work queues
	// refuse them; NoDeadLetters deletes an exchange that queues dead-letter to; PolicyChanged
	// changes what holds for queues that are in use; ConsumerTimedOut closes channels on which
	// a delivery is not acknowledged soon.
	MemoryAlarm      Action = "memory-alarm"
	DiskAlarm        Action = "disk-alarm"
	QueueFull        Action = "queue-full"
	NoDeadLetters    Action = "no-dead-letters"
	PolicyChanged    Action = "policy"
	ConsumerTimedOut Action = "consumer-timeout"
	// KillAt and HoldAt wait until a process passes a named point in its work for the nth time,
	// and then kill it there, or hold there what passes.
	KillAt Action = "kill-at"
	HoldAt Action = "hold-at"
	// ClockAhead and ClockBehind start a process again with a clock that is an hour wrong, and
	// then once more with the right one.
	ClockAhead  Action = "clock-ahead"
	ClockBehind Action = "clock-behind"
)

// long is a fault past the broker's heartbeat of 10 s and every timeout of the load.
const long = 22 * time.Second

// way is one way to break a target.
type way struct {
	action Action
	weight int
	// least and most are how long the fault lasts; with long, one in three takes much longer.
	least, most time.Duration
	long        bool
	// nth is the most that Fault.Nth is drawn from; 0 for faults that come at once.
	nth int
}

// shares say how often something of each class is broken.
func shares() map[Class]int {
	return map[Class]int{Process: 4, Point: 4, Wire: 4, Outside: 3, Tenant: 1, Lane: 1, Database: 2, Disk: 1, Log: 1, Broker: 2, Server: 2, Node: 1, Network: 2, Cluster: 1, Fleet: 1}
}

// ways is how the targets of each class are broken.
func ways() map[Class][]way {
	const short, blink = 100 * time.Millisecond, 500 * time.Millisecond
	wires := []way{
		{action: CutLink, weight: 2, least: blink, most: 8 * time.Second},
		{action: RefuseLink, weight: 1, least: blink, most: 8 * time.Second},
		{action: HalfOpenLink, weight: 1, least: blink, most: 8 * time.Second, long: true},
		{action: SlowLink, weight: 1, least: blink, most: 8 * time.Second},
		{action: TrickleLink, weight: 1, least: blink, most: 8 * time.Second},
		{action: LoseAnswers, weight: 1, least: short, most: 2 * time.Second},
	}
	return map[Class][]way{
		Process: {
			{action: Kill, weight: 2, least: short, most: 4 * time.Second},
			{action: Pause, weight: 2, least: short, most: 4 * time.Second, long: true},
			{action: End, weight: 1, least: short, most: 4 * time.Second},
			{action: ClockAhead, weight: 1, least: 4 * time.Second, most: 12 * time.Second},
			{action: ClockBehind, weight: 1, least: 4 * time.Second, most: 12 * time.Second},
		},
		Point: {
			{action: KillAt, weight: 3, least: short, most: 3 * time.Second, nth: 4},
			{action: HoldAt, weight: 1, least: time.Second, most: 8 * time.Second, long: true, nth: 4},
		},
		Wire: wires, Outside: wires,
		Tenant: {
			{action: TenantStuck, weight: 1, least: 4 * time.Second, most: 10 * time.Second},
		},
		Lane: {
			{action: LaneStuck, weight: 1, least: 4 * time.Second, most: 10 * time.Second},
		},
		Database: {
			{action: DatabaseSlow, weight: 1, least: time.Second, most: 8 * time.Second},
			{action: DatabaseReadOnly, weight: 1, least: time.Second, most: 8 * time.Second},
			{action: DatabaseCrowded, weight: 1, least: time.Second, most: 8 * time.Second},
		},
		Disk: {
			{action: DatabaseFull, weight: 1, least: time.Second, most: 8 * time.Second},
		},
		Log: {
			{action: DatabaseLogFull, weight: 1, least: 4 * time.Second, most: 8 * time.Second},
		},
		Broker: {
			{action: MemoryAlarm, weight: 1, least: time.Second, most: 8 * time.Second},
			{action: DiskAlarm, weight: 1, least: time.Second, most: 8 * time.Second},
			{action: QueueFull, weight: 1, least: 4 * time.Second, most: 8 * time.Second},
			{action: NoDeadLetters, weight: 1, least: time.Second, most: 4 * time.Second, nth: 2},
			{action: PolicyChanged, weight: 1, least: time.Second, most: 8 * time.Second},
			{action: ConsumerTimedOut, weight: 1, least: 4 * time.Second, most: 10 * time.Second},
		},
		Server: {
			{action: Kill, weight: 1, least: 2 * short, most: 4 * time.Second},
			{action: End, weight: 1, least: 2 * short, most: 4 * time.Second},
		},
		Node: nodeWays(), Network: networkWays(), Cluster: clusterWays(), Fleet: fleetWays(),
	}
}
