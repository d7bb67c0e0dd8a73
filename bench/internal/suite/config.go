package suite

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cupline/cupline/bench/internal/report"
)

// Config of a bench.
type Config struct {
	// Root is the checkout, Folder where instances and logs are kept meanwhile.
	Root, Folder string
	// Cases by name, in the order of [Cases]; empty means all that are not long, "all" means the long ones, too.
	Cases []string
	// Rates of the latency cases.
	Rates []Rate
	// Warmup goes before each window of Length; Rounds of all cases at their ceiling are run.
	Warmup, Length time.Duration
	Rounds         int
	// Least is how much a window is to hold: it goes on beyond Length for that.
	Least int64
	// Limit is the most commands of one run.
	Limit int
	// Clients have a socket each with a window of so many outcomes; Workers are the connections that post.
	Clients, Window, Workers int
	// Devices of each type; the MQTT ones share so many Connections.
	Devices, Connections int
	// Size of a request, and of a message of the bare pipeline, in bytes.
	Size int
	// Sizes of the trials.
	Sizes Sizes
	// TestOutput is what `go test -json` wrote, for the case tests; it runs the tests itself when empty.
	TestOutput string
	// Settings are further ones of the services.
	Settings map[string]string
	// Broker and Database are further lines of rabbitmq.conf and postgresql.conf, "key = value" each.
	Broker, Database []string
	// Build are further arguments of `go build`.
	Build []string
	// Profiles is the folder for the services' CPU profiles of each run; none are taken when empty. They cost a little,
	// so that figures of such a run are not to be held against others.
	Profiles string
	// Progress gets a line for each step.
	Progress io.Writer
}

// batchSize is how many requests the batch case posts at once.
const batchSize = 50

// Default is what `make bench` measures.
func Default() Config {
	return Config{
		Rates:  []Rate{{PerSecond: 20}, {Share: 0.1}, {Share: 0.25}, {Share: 0.5}, {Share: 0.8}},
		Warmup: 2 * time.Second, Length: 10 * time.Second, Rounds: 2, Limit: 500_000,
		Clients: 50, Window: 64, Workers: 512, Devices: 1000, Connections: 1000, Size: 256,
		Sizes: fullSizes(), Settings: map[string]string{},
	}
}

// Smoke is all cases but those apart once, small and short: whether it works, not how fast.
func Smoke() Config {
	c := Default()
	c.Cases = []string{everything}
	c.Rates = []Rate{{PerSecond: 20}, {Share: 0.25}}
	c.Warmup, c.Length, c.Rounds = 200*time.Millisecond, 500*time.Millisecond, 1
	c.Limit, c.Clients, c.Workers, c.Devices, c.Connections = 20_000, 5, 20, 50, 50
	c.Sizes = smallSizes()
	// More than is under way at once, a batch being the most, so that some of it is begun in the window, too.
	c.Least = batchSize + 10
	// Whether it works is asked of machines that stall for seconds, too. An outcome that is not acked for 5 s comes again, as it
	// should, and a confirm that takes as long leaves a command in doubt: the one would be taken for a doubled outcome, the other for
	// a refusal.
	c.Settings = map[string]string{"CUPLINE_UNACKED": "1m", "CUPLINE_ACK_TIMEOUT": "5m", "CUPLINE_PUBLISH_TIMEOUT": "12s"}
	return c
}

// Check reports every problem of the configuration at once.
func (c Config) Check() error {
	var problems []error
	atLeast := func(name string, n, least int) {
		if n < least {
			problems = append(problems, fmt.Errorf("%s is %d: must be %d or more", name, n, least))
		}
	}
	for _, name := range c.Cases {
		if name != everything && !slices.ContainsFunc(cases(), func(known Case) bool { return known.Name == name }) {
			problems = append(problems, fmt.Errorf("there is no case %q", name))
		}
	}
	if c.Length < 100*time.Millisecond || c.Length > time.Hour || c.Warmup < 0 || c.Warmup > time.Hour {
		problems = append(problems, fmt.Errorf("a run of %s after %s: must be 100ms to 1h, after at most 1h", c.Length, c.Warmup))
	}
	atLeast("rounds", c.Rounds, 1)
	atLeast("commands", c.Limit, batchSize)
	atLeast("clients", c.Clients, 1)
	atLeast("window", c.Window, 1)
	atLeast("workers", c.Workers, 1)
	atLeast("devices", c.Devices, 1)
	atLeast("size", c.Size, 16)
	if c.Connections < 1 || c.Connections > c.Devices {
		problems = append(problems, fmt.Errorf("device connections are %d: must be 1 to the number of devices", c.Connections))
	}
	return errors.Join(append(problems, c.Sizes.check(), c.checkRates())...)
}

// checkRates finds latency cases without a rate, and shares of a ceiling that is not measured.
func (c Config) checkRates() error {
	for _, paced := range c.chosen() {
		if paced.ceiling == "" {
			continue
		}
		if len(c.Rates) == 0 {
			return fmt.Errorf("the case %s needs a rate", paced.Name)
		}
		measured := slices.ContainsFunc(c.chosen(), func(other Case) bool { return other.Name == paced.ceiling })
		shares := slices.ContainsFunc(c.Rates, func(r Rate) bool { return r.Share > 0 })
		if shares && !measured {
			return fmt.Errorf("the case %s at a share of the ceiling needs the case %s beside it, or rates per second", paced.Name, paced.ceiling)
		}
	}
	return nil
}

// everything names all cases but those that stand apart.
const everything = "all"

// tools are the load's own programs that the cases need.
func (c Config) tools() []string {
	var tools []string
	if slices.ContainsFunc(c.chosen(), func(one Case) bool { return one.echo }) {
		tools = append(tools, "./bench/cmd/echo")
	}
	if slices.ContainsFunc(c.chosen(), func(one Case) bool { return one.trial != nil }) {
		tools = append(tools, "./bench/cmd/crowd")
	}
	return tools
}

// chosen are the cases to run.
func (c Config) chosen() []Case {
	var chosen []Case
	for _, one := range cases() {
		named := slices.Contains(c.Cases, one.Name)
		all := slices.Contains(c.Cases, everything) && !one.apart
		if named || all || len(c.Cases) == 0 && !one.long && !one.apart {
			chosen = append(chosen, one)
		}
	}
	return chosen
}

// platform tells whether any case needs the platform, and not only the broker.
func (c Config) platform() bool {
	return slices.ContainsFunc(c.chosen(), func(one Case) bool { return one.bare == nil && !one.echo })
}

func (c Config) describe() []report.Setting {
	settings := []report.Setting{
		{Name: "clients", Value: strconv.Itoa(c.Clients)}, {Name: "window", Value: strconv.Itoa(c.Window)},
		{Name: "posting connections", Value: strconv.Itoa(c.Workers)},
		{Name: "devices of a type", Value: strconv.Itoa(c.Devices)}, {Name: "MQTT connections", Value: strconv.Itoa(c.Connections)},
		{Name: "request bytes", Value: strconv.Itoa(c.Size)},
		{Name: "window of a run", Value: c.Length.String()}, {Name: "warm-up", Value: c.Warmup.String()},
		{Name: "rounds", Value: strconv.Itoa(c.Rounds)},
	}
	for name, value := range c.Settings {
		settings = append(settings, report.Setting{Name: name, Value: value})
	}
	slices.SortFunc(settings[9:], func(a, b report.Setting) int { return strings.Compare(a.Name, b.Name) })
	for _, more := range []report.Setting{
		{Name: "rabbitmq.conf", Value: strings.Join(c.Broker, "; ")},
		{Name: "postgresql.conf", Value: strings.Join(c.Database, "; ")},
		{Name: "go build", Value: strings.Join(c.Build, " ")},
	} {
		if more.Value != "" {
			settings = append(settings, more)
		}
	}
	return settings
}

// Rate of a latency case: so many commands per second, or a share of the case's ceiling.
type Rate struct {
	PerSecond float64
	Share     float64
}

// ParseRates reads "20,10%,50%".
func ParseRates(text string) ([]Rate, error) {
	var rates []Rate
	for word := range strings.SplitSeq(text, ",") {
		word = strings.TrimSpace(word)
		number, isShare := strings.CutSuffix(word, "%")
		n, err := strconv.ParseFloat(number, 64)
		if err != nil || n <= 0 || isShare && n > 100 {
			return nil, fmt.Errorf("rate %q: must be commands per second (200) or a part of the ceiling (50%%)", word)
		}
		rate := Rate{PerSecond: n}
		if isShare {
			rate = Rate{Share: n / 100}
		}
		rates = append(rates, rate)
	}
	return rates, nil
}
