package report

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/cupline/cupline/bench/internal/load"
	"github.com/cupline/cupline/bench/internal/measure"
	"github.com/cupline/cupline/bench/internal/usage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ceiling(name string, round int, perSecond int64, ratio float64, costs ...measure.Cost) Run {
	from := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return Run{
		Case: name, Kind: Ceiling, Round: round, Ratio: ratio,
		Reading: measure.Reading{From: from, To: from.Add(10 * time.Second), Done: 10 * perSecond, Costs: costs, Others: 5 * time.Second},
		Latency: measure.Latency{Count: 1, P50: 2 * time.Millisecond, P99: 30 * time.Millisecond, P999: 400 * time.Millisecond},
	}
}

func spent(name string, role measure.Role, cpu time.Duration) measure.Cost {
	return measure.Cost{Name: name, Role: role, CPU: cpu}
}

func sample() Report {
	platform := []measure.Cost{spent("broker", measure.Platform, 4*time.Second), spent("api", measure.Platform, 2*time.Second), spent("load", measure.Driving, time.Second)}
	paced := ceiling("latency-mqtt", 1, 1000, 0, platform...)
	paced.Kind, paced.Offered, paced.Share = Paced, 1010, 0.5
	paced.Answer = measure.Latency{Count: 1, P50: time.Millisecond, P99: 2 * time.Millisecond, P999: 3 * time.Millisecond}
	paced.Hops = []Hop{{"POST answered", 2 * time.Millisecond, 12 * time.Millisecond}}
	trial := Run{Case: "push", Kind: Trial, Round: 1, Figures: []Figure{{"outcomes", "1,000 clients", 7654.3, "per s"}, {"p99", "1,000 clients", 12.34, "ms"}}}
	broken := Run{Case: "swift", Kind: Ceiling, Round: 2, Problem: "3 outcomes are missing", Tally: &load.Tally{Missing: 3}}
	return Report{
		Format: Format, At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Commit: "abc1234+",
		Machine:  usage.Machine{CPU: "AMD EPYC", Cores: 2, Memory: 16 << 30, Kernel: "6.1.0"},
		Versions: []Version{{"RabbitMQ", "3.10.8"}, {"Go", "1.26.8"}}, Settings: []Setting{{"clients", "50"}, {"window", "64"}},
		Runs: []Run{
			ceiling(Plain, 1, 4000, 0, spent("broker", measure.Platform, 10*time.Second), spent("pipeline", measure.Platform, 4*time.Second)),
			ceiling("mqtt", 1, 2000, 0.5, platform...), ceiling("mqtt", 2, 3000, 0.75, platform...), broken, paced, trial,
		},
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := sample().Table(&out); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "table.txt")
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("the table differs from %s (-want +got):\n%s", path, diff)
	}
}

// The runs that gave no figure count nowhere.
func TestRate(t *testing.T) {
	t.Parallel()
	r := sample()
	if mqtt, swift := r.Rate("mqtt"), r.Rate("swift"); mqtt != 2500 || swift != 0 {
		t.Errorf("mqtt %g, swift %g", mqtt, swift)
	}
	if failed := r.Failed(); len(failed) != 1 || failed[0].Case != "swift" {
		t.Errorf("%+v", failed)
	}
	if got := Median([]float64{9, 1, 5}); got != 5 {
		t.Errorf("median %g", got)
	}
}

// What is read back is what was written: later benches compare with it.
func TestJSON(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "bench.json")
	if err := sample().Write(path); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got Report
	if err := json.Unmarshal(content, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), got); diff != "" {
		t.Error(diff)
	}
	if err := sample().Write(filepath.Join(path, "below a file")); err == nil {
		t.Error("a report that could not be written passed for written")
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestTableThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	if err := sample().Table(full{}); err == nil {
		t.Error("the error of the writer was lost")
	}
}

// A figure has moved when the interval of its pairs' ratios leaves 1 out, however far the machine drifts from pair to pair.
func TestPairs(t *testing.T) {
	t.Parallel()
	side := func(done int64, cpu time.Duration) Report {
		at := time.Now()
		return Report{Runs: []Run{{Case: "swift", Kind: Ceiling, Reading: measure.Reading{
			From: at, To: at.Add(time.Second), Done: done, Costs: []measure.Cost{{Name: "api", Role: measure.Platform, CPU: cpu}},
		}}}}
	}
	var pairs []Pair
	for i := range 8 {
		drift := int64(1000 + 500*i)
		wobble := time.Duration(95+i%3*5) * time.Duration(drift) * time.Microsecond
		pairs = append(pairs, Pair{A: side(drift, 100*time.Duration(drift)*time.Microsecond), B: side(drift*11/10, wobble*11/10)})
	}
	found := map[string]Paired{}
	for _, p := range InPairs(pairs) {
		found[p.What] = p
	}
	if p := found["per s"]; p.Verdict != Better || math.Abs(p.Ratio-1.1) > 0.01 {
		t.Errorf("a tenth more: %+v", p)
	}
	if p := found["CPU-s per 1,000"]; p.Verdict != WithinNoise || p.Low >= 1 || p.High <= 1 {
		t.Errorf("now less, now more: %+v", p)
	}
	if _, ok := found["of that api"]; !ok {
		t.Errorf("no process: %+v", found)
	}
	if p := InPairs(pairs[:5])[0]; p.Verdict != FewPairs {
		t.Errorf("five pairs: %+v", p)
	}
}
