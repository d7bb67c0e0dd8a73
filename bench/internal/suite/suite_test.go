package suite

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cupline/cupline/bench/internal/measure"
	"github.com/cupline/cupline/bench/internal/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func names(cases []Case) string {
	var all []string
	for _, c := range cases {
		all = append(all, c.Name)
	}
	return strings.Join(all, " ")
}

// Each case stands between two runs of plain, and what is first in one round is last in the next.
func TestOrder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cases []string
		round int
		want  string
	}{
		{[]string{"plain", "tuned", "swift", "latency-mqtt", "mqtt"}, 0, "plain tuned plain swift plain mqtt plain"},
		{[]string{"plain", "tuned", "swift", "latency-mqtt", "mqtt"}, 1, "plain mqtt plain swift plain tuned plain"},
		{[]string{"plain"}, 0, "plain"},
		{[]string{"swift", "mqtt"}, 0, "swift mqtt"},
		{[]string{"latency-mqtt"}, 0, ""},
	} {
		if got := names(order(Config{Cases: c.cases}.chosen(), c.round)); got != c.want {
			t.Errorf("%v, round %d: got %s, want %s", c.cases, c.round, got, c.want)
		}
	}
	short, all := 0, 0
	for _, c := range cases() {
		if !c.apart {
			all++
		}
		if !c.long && !c.apart {
			short++
		}
	}
	if n := len((Config{}).chosen()); n != short || n == all {
		t.Errorf("without names %d cases are run", n)
	}
	if n := len((Config{Cases: []string{everything}}).chosen()); n != all || n == len(cases()) {
		t.Errorf("%d cases are all", n)
	}
}

func ran(name string, perSecond int64, problem string) report.Run {
	from := time.Now()
	return report.Run{Case: name, Problem: problem, Reading: measure.Reading{From: from, To: from.Add(time.Second), Done: perSecond}}
}

func TestRatios(t *testing.T) {
	t.Parallel()
	runs := []report.Run{
		ran("plain", 1000, ""), ran("swift", 600, ""), ran("plain", 2000, ""), ran("mqtt", 900, ""), ran("plain", 9999, "lost"),
		ran("batch", 900, ""), ran("plain", 0, ""), ran("ledger", 5, "doubled"), ran("plain", 1000, ""),
	}
	ratios(runs)
	var got []string
	for _, r := range runs {
		got = append(got, fmt.Sprintf("%.2f", r.Ratio))
	}
	// mqtt has one neighbour that gave a figure; batch has none to speak of.
	if want := "0.00 0.40 0.00 0.45 0.00 0.00 0.00 0.00 0.00"; strings.Join(got, " ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, " "), want)
	}
}

func TestConfigCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Config{"default": Default(), "smoke": Smoke()} {
		if err := c.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, c := range []struct {
		spoil func(*Config)
		want  string
	}{
		{func(c *Config) { c.Cases = []string{"swift", "warp"} }, `there is no case "warp"`},
		{func(c *Config) { c.Length = 0 }, "a run of 0s"},
		{func(c *Config) { c.Warmup = -1 }, "after -1ns"},
		{func(c *Config) { c.Rounds = 0 }, "rounds is 0"},
		{func(c *Config) { c.Limit = 1 }, "commands is 1"},
		{func(c *Config) { c.Clients = 0 }, "clients is 0"},
		{func(c *Config) { c.Window = 0 }, "window is 0"},
		{func(c *Config) { c.Workers = 0 }, "workers is 0"},
		{func(c *Config) { c.Devices = 0 }, "devices is 0"},
		{func(c *Config) { c.Size = 15 }, "size is 15"},
		{func(c *Config) { c.Connections = c.Devices + 1 }, "device connections are 1001"},
		{func(c *Config) { c.Sizes.Sockets = []int{20_000} }, "sockets is 20000"},
		{func(c *Config) { c.Sizes.Intake = 0 }, "beside a backlog is 0"},
		{func(c *Config) { c.Rates = nil }, "latency-plain needs a rate"},
		{func(c *Config) { c.Cases = []string{"latency-mqtt"} }, "needs the case mqtt beside it"},
	} {
		cfg := Default()
		c.spoil(&cfg)
		if err := cfg.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
	alone := Default()
	alone.Cases, alone.Rates = []string{"latency-mqtt"}, []Rate{{PerSecond: 20}}
	if err := alone.Check(); err != nil {
		t.Errorf("a rate per second needs no ceiling: %v", err)
	}
	if bare := (Config{Cases: []string{"plain", "tuned"}}); bare.platform() || !alone.platform() {
		t.Error("the platform is started where only the broker is needed, or the other way round")
	}
}

func TestParseRates(t *testing.T) {
	t.Parallel()
	got, err := ParseRates("20, 10%,62.5%")
	if want := (fmt.Sprint([]Rate{{PerSecond: 20}, {Share: 0.1}, {Share: 0.625}})); err != nil || fmt.Sprint(got) != want {
		t.Errorf("got %v, %v, want %s", got, err, want)
	}
	for _, text := range []string{"", "fast", "-1", "0", "101%", "10%,", "%"} {
		if got, err := ParseRates(text); err == nil {
			t.Errorf("%q was taken as %v", text, got)
		}
	}
}

// The slowest packages come first, and what is no event is passed over.
func TestParts(t *testing.T) {
	t.Parallel()
	found, err := parts(strings.NewReader(`building
{"Time":"2026-03-01T12:00:00Z","Action":"start","Package":"github.com/cupline/cupline/api"}
{"Time":"2026-03-01T12:00:01Z","Action":"pass","Package":"github.com/cupline/cupline/api","Test":"TestX","Elapsed":9}
{"Time":"2026-03-01T12:00:02Z","Action":"pass","Package":"github.com/cupline/cupline/api","Elapsed":2}
{"Time":"2026-03-01T12:00:07Z","Action":"fail","Package":"github.com/cupline/cupline/store","Elapsed":6}
`))
	if err != nil || len(found) != 4 || found[0].Value != 7 || found[1].Value != 8 || found[2].At != "store" || found[3].At != "api" {
		t.Errorf("%+v, %v", found, err)
	}
	if _, err := parts(strings.NewReader("nothing\n")); err == nil {
		t.Error("no tests gave figures")
	}
}
