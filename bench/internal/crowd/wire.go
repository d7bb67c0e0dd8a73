// Package crowd is a great many clients that only listen: programs of their own, for one may open no more than some 20,000
// files, and what they cost has to be told apart from the platform's cost.
package crowd

import (
	"math"
	"slices"
	"time"
)

// Orders are the first line that a crowd's program reads, as JSON. A client's token on each line follows, and an empty line.
type Orders struct {
	// Targets are the pushers' WebSocket addresses; clients take turns, and go to the next one when they lose theirs.
	Targets []string `json:"targets"`
	// Source is the address to connect from: each has some 28,000 ports.
	Source string `json:"source"`
	// Dialling is how many connect at once.
	Dialling int `json:"dialling"`
	// Window that clients ask for, and AckPause between two acks of one.
	Window   int           `json:"window"`
	AckPause time.Duration `json:"ack_pause_ns"`
	// Slow is how many of the clients let SlowPause go by instead. Their latencies are not counted.
	Slow      int           `json:"slow"`
	SlowPause time.Duration `json:"slow_pause_ns"`
	// First is the least id that counts: what an earlier load left behind is acked and called older.
	First int64 `json:"first"`
}

// News is what a crowd's program says, as JSON lines: whenever something has changed, and with latencies when "report" was said.
type News struct {
	// Online clients have had their welcome. Lost connections are counted ever.
	Online int `json:"online"`
	Lost   int `json:"lost"`
	// Got outcomes, each once; Doubled ones came again to clients that are not slow, and Wrong ones cannot be read.
	Got     int64 `json:"got"`
	Doubled int64 `json:"doubled"`
	Wrong   int64 `json:"wrong"`
	// Older ones are of a load before this one: its clients left before their acks were through.
	Older int64 `json:"older"`
	// Failure is the first that was met.
	Failure string `json:"failure,omitempty"`
	// Report marks an answer to "report": Latencies since the last one, how many by step.
	Report    bool          `json:"report,omitempty"`
	Latencies map[int]int64 `json:"latencies,omitempty"`
}

// growth is by how much a step of latencies is longer than the one before.
const growth = 1.02

// step of a latency.
func step(d time.Duration) int {
	return int(math.Log(float64(max(d, time.Microsecond))/float64(time.Microsecond)) / math.Log(growth))
}

// Percentile of latencies by step: the upper end of the step that p percent have reached, to within 2 %; 0 for none.
func Percentile(latencies map[int]int64, p float64) time.Duration {
	var (
		steps []int
		total int64
	)
	for s, n := range latencies {
		steps, total = append(steps, s), total+n
	}
	slices.Sort(steps)
	reached := int64(0)
	for _, s := range steps {
		if reached += latencies[s]; float64(reached) >= p/100*float64(total) {
			return time.Duration(math.Pow(growth, float64(s+1)) * float64(time.Microsecond))
		}
	}
	return 0
}
