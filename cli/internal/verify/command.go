// Package verify is `cupline verify`.
package verify

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	"github.com/cupline/cupline/verify/history"
	"github.com/cupline/cupline/verify/live"
	"github.com/cupline/cupline/verify/load"
)

// options are the flags.
type options struct {
	live.Config
	mqtt, history string
}

// errBroken is what a run ends with that found a promise broken.
var errBroken = errors.New("a promise was not held")

// Command is `cupline verify`.
func Command(c *console.Console) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use: "verify", Short: "Send a load through a running installation, and check every outcome", Args: cobra.NoArgs,
		Long: `Send commands of one client for a while, at a bounded rate, to devices that it makes and removes again, and check
that every accepted command ended in exactly one outcome, that none ran twice, that nothing refused ran, and that
every failure is on record. It breaks nothing; the load is real all the same, and its failures are in the audit trail.

CUPLINE_KEY must be of a client that nobody else uses, with the scopes commands:send, replies:read, devices:read and
devices:write; with ops:read too, dead letters and audit trail are checked:

  cupline keys create --client verify --scope commands:send,replies:read,devices:read,devices:write,ops:read

Devices: one over MQTT that is never there; with --web two over HTTP, which this command plays at that address of this
machine (dispatchers must be allowed to call it: CUPLINE_HTTP_ALLOWED_NETWORKS); with --mqtt and --tenant two over MQTT.

Exit code 0 when all promises were held, 10 when one was not.`,
		Example: `  cupline verify --time 1m --rate 10 --web 10.0.0.7:8099`,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), c, o) },
	}
	flags := cmd.Flags()
	flags.DurationVar(&o.Time, "time", 30*time.Second, "for how long commands are sent; 1s to 1h")
	flags.Float64Var(&o.Rate, "rate", 5, "commands a second; 0.1 to 100")
	flags.DurationVar(&o.Patience, "patience", 90*time.Second, "how long outcomes may take after the last command; 1s to 1h")
	flags.Uint64Var(&o.Seed, "seed", 0, "of what is sent; random unless told")
	flags.StringVar(&o.Lane, "lane", "", "lane of the devices; the default one unless told")
	flags.StringVar(&o.Web, "web", "", "`host:port` of this machine at which the devices that speak HTTP are played")
	flags.StringVar(&o.mqtt, "mqtt", "", "the broker's MQTT listener, `tcp://user:password@host:port`, with a user that may be any device")
	flags.StringVar(&o.Tenant, "tenant", "", "the key's tenant, for --mqtt")
	flags.StringVar(&o.history, "history", "", "`file` that takes the whole history, as JSON lines")
	return cmd
}

func run(ctx context.Context, c *console.Console, o options) (err error) {
	values, err := connect.Require(c, connect.APIURL, connect.PushURL, connect.Key)
	if err != nil {
		return err
	}
	o.API, o.Push, o.Key, o.Progress = values[0], values[1], values[2], c.Note
	if o.Seed == 0 {
		o.Seed = rand.Uint64N(1_000_000)
	}
	if o.mqtt != "" {
		if o.MQTT, err = listener(o.mqtt); err != nil {
			return err
		}
	}
	if err := o.Check(); err != nil {
		return exit.With(exit.Usage, err)
	}
	o.Log = history.InMemory()
	if o.history != "" {
		if o.Log, err = history.Create(o.history); err != nil {
			return err
		}
	}
	defer func() { err = errors.Join(err, o.Log.Close()) }()
	report, err := live.Run(ctx, o.Config)
	if err != nil {
		return err
	}
	if err := c.Result(report, func(w *strings.Builder) { w.WriteString(report.String()) }); err != nil {
		return err
	}
	if n := len(report.Violations); n > 0 {
		return exit.With(exit.Different, fmt.Errorf("%w: %d violations", errBroken, n))
	}
	return nil
}

// listener takes user and password out of the address.
func listener(address string) (load.MQTT, error) {
	u, err := url.Parse(address)
	if err != nil || u.User == nil || u.Host == "" {
		return load.MQTT{}, exit.Usagef("--mqtt: must be tcp://user:password@host:port")
	}
	at := load.MQTT{User: u.User.Username()}
	at.Password, _ = u.User.Password()
	u.User = nil
	at.URL = u.String()
	return at, nil
}
