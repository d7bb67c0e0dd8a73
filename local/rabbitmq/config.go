package rabbitmq

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Config says what node to run. The zero value of everything but Base will do.
type Config struct {
	// Base is the folder below which the node keeps its files, in Base/Name; made if need be.
	Base string
	// Name is the folder's name within Base; "rabbitmq" when empty. A cluster's nodes need one each.
	Name string
	// Plugins are enabled; "rabbitmq_management" and "rabbitmq_mqtt" when nil. The node listens for what is enabled.
	Plugins []string
	// Settings are further lines of rabbitmq.conf, "key = value" each, after those that this package writes.
	Settings []string
	// DeviceLogins is the address below which api answers for devices, http://127.0.0.1:PORT/broker: MQTT clients that are
	// none of the node's own users are asked about there. Empty for nobody but those.
	DeviceLogins string
	// User is the administrator's name when the node is first made; "cupline" when empty.
	User string
	// Password is the administrator's when the node is first made, for one that joins others and so has their users;
	// generated when empty.
	Password string
	// Schedulers is how many of the machine's cores the node uses; at most 4 when zero.
	Schedulers int
	// Host is where the node runs; the loopback address when zero.
	Host Host
	// Hosts are those of all nodes of the cluster, the node's own too, where they are not on the loopback address.
	Hosts []Host
	// Silence is how long another node may be silent until it counts as down (Erlang's net_ticktime), 4 s or more; that is
	// 60 s when zero. It is noticed between three and five quarters of it later.
	Silence time.Duration
	// Node is the Erlang node's name when the node is first made, NAME@HOST; generated when empty.
	Node string
	// Cookie is the Erlang cookie when the node is first made, for one that joins others; generated when empty.
	Cookie string
	// EpmdPort is the port of an epmd that another instance runs, for a node that joins it; with zero the instance
	// runs one of its own. On hosts of their own each node runs one, and all at the same port: the first one's.
	EpmdPort int
	// StartLimit is how long a start may take; 5 minutes when zero. A node of a cluster that was down waits for the others,
	// and so may need several times that on a busy machine.
	StartLimit time.Duration
	// Progress gets a line for each step that takes time; none when nil.
	Progress io.Writer
}

const (
	management = "rabbitmq_management"
	mqtt       = "rabbitmq_mqtt"
)

// complete is the configuration with its defaults filled in, or what is wrong with it.
func (c Config) complete() (Config, error) {
	if c.Base == "" {
		return Config{}, errors.New("run RabbitMQ: the configuration names no base folder")
	}
	if c.Name == "" {
		c.Name = "rabbitmq"
	}
	if strings.ContainsAny(c.Name, "/ ") || strings.HasPrefix(c.Name, ".") {
		return Config{}, fmt.Errorf("run RabbitMQ: the folder's name %q must be one plain word", c.Name)
	}
	if c.Plugins == nil {
		c.Plugins = []string{management, mqtt}
	}
	if c.DeviceLogins != "" {
		c.Plugins = append(slices.Clone(c.Plugins), "rabbitmq_auth_backend_http", "rabbitmq_auth_backend_cache")
		c.Settings = append(deviceLogins(c.DeviceLogins), c.Settings...)
	}
	if c.User == "" {
		c.User = "cupline"
	}
	if c.Host == (Host{}) {
		c.Host = loopback()
	}
	if err := c.Host.check(); err != nil {
		return Config{}, err
	}
	if c.Node != "" && !strings.HasSuffix(c.Node, "@"+c.Host.Name) {
		return Config{}, fmt.Errorf("run RabbitMQ: the node's name %q must end in @%s", c.Node, c.Host.Name)
	}
	if c.Silence != 0 && c.Silence < leastSilence {
		return Config{}, fmt.Errorf("run RabbitMQ: a silence of %s is too short: %s at least", c.Silence, leastSilence)
	}
	if c.Schedulers == 0 {
		c.Schedulers = min(runtime.NumCPU(), 4)
	}
	if c.StartLimit == 0 {
		c.StartLimit = startLimit
	}
	if c.Progress == nil {
		c.Progress = io.Discard
	}
	return c, nil
}

func (c Config) enabled(plugin string) bool {
	return slices.Contains(c.Plugins, plugin)
}

// say tells of progress; that it cannot be shown is no reason not to make any.
func (c Config) say(format string, values ...any) {
	_, _ = fmt.Fprintf(c.Progress, format+"\n", values...)
}

// deviceLogins are the lines of rabbitmq.conf with which api decides about devices. docs/operations.md explains them.
func deviceLogins(api string) []string {
	return []string{
		// The services' own users are the node's; whoever is none of them is asked about.
		"auth_backends.1 = internal",
		// A log-in is always asked, so that a revoked credential opens nothing; what a device may do depends on its name
		// alone, and is remembered.
		"auth_backends.2.authn = http",
		"auth_backends.2.authz = cache",
		"auth_cache.cached_backend = http",
		"auth_cache.cache_ttl = 3600000",
		// Passwords do not belong into URLs.
		"auth_http.http_method = post",
		"auth_http.user_path = " + api + "/user",
		"auth_http.vhost_path = " + api + "/vhost",
		"auth_http.resource_path = " + api + "/resource",
		"auth_http.topic_path = " + api + "/topic",
		// Nobody may read what a device would have the broker retain: it would only take room.
		"mqtt.retained_message_store = rabbit_mqtt_retained_msg_store_noop",
	}
}
