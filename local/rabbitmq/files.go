package rabbitmq

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cupline/cupline/local/packages"
	"github.com/cupline/cupline/local/place"
	"github.com/cupline/cupline/local/process"
)

// logName is the node's log within its folder of logs.
const logName = "rabbitmq.log"

// raiseFiles is the shell script that the broker's own reads first, in place of the machine's in /etc/rabbitmq. Every
// connection takes a file; a far higher limit would cost the node memory for each file that it might open.
const raiseFiles = `files=$(ulimit -H -n)
if [ "$files" = unlimited ] || [ "$files" -gt 65536 ]; then files=65536; fi
ulimit -n "$files"
`

// layout is where a node's files are within its work folder.
type layout struct {
	home, data, logs, config, advanced, more, plugins, environment, hosts, cookie, pid string
}

func layoutOf(work string) layout {
	in := func(name string) string { return filepath.Join(work, name) }
	return layout{
		home: in("home"), data: in("data"), logs: in("log"), config: in("rabbitmq.conf"),
		advanced: in("advanced.config"), more: in("conf.d/*.conf"), plugins: in("enabled_plugins"),
		environment: in("rabbitmq-env.conf"), hosts: in("inetrc"), cookie: in("home/.erlang.cookie"), pid: in("rabbitmq.pid"),
	}
}

// write lays out a node's files anew, owned by its account; its data and logs are left as they are.
func (l layout) write(config Config, known memory, version packages.Version, account process.Account) error {
	for _, folder := range []string{l.home, l.data, l.logs} {
		if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("make a folder of the node: %w", err)
		}
		if err := account.Own(folder); err != nil {
			return err
		}
	}
	files := map[string]string{
		l.config:      strings.Join(settings(config, known, version, l), "\n") + "\n",
		l.plugins:     "[" + strings.Join(config.Plugins, ",") + "].\n",
		l.environment: raiseFiles,
		l.hosts:       names(config.Hosts),
		l.cookie:      known.Cookie,
	}
	for path, content := range files {
		if err := place.Write(path, []byte(content), account); err != nil {
			return err
		}
	}
	return os.Chmod(l.cookie, 0o400)
}

// settings are the lines of rabbitmq.conf. A key that a release does not know keeps it from starting, so what differs
// between releases asks for the version.
func settings(config Config, known memory, version packages.Version, l layout) []string {
	lines := []string{
		"# Written at each start; edits are lost.",
		"listeners.tcp.local = " + config.Host.at(known.AMQPPort),
		"default_user = " + known.User,
		"default_pass = " + known.Password,
		"default_vhost = /",
		"default_user_tags.administrator = true",
		"log.console = false",
		"log.file = " + logName, // within RABBITMQ_LOG_BASE
		"log.file.level = info",
		"log.file.rotation.size = 10485760",
		"log.file.rotation.count = 2",
		// Small machines: stop taking messages before the disk is full, and do not claim 512 MB for the log of quorum
		// queues at once.
		"disk_free_limit.absolute = 128MB",
		"vm_memory_high_watermark.relative = 0.4",
		"raft.wal_max_size_bytes = 134217728",
	}
	if version.AtLeast(4, 0) {
		lines = append(lines, "anonymous_login_user = none")
	}
	if config.enabled(management) {
		lines = append(lines, "management.tcp.ip = "+config.Host.Address,
			fmt.Sprintf("management.tcp.port = %d", known.ManagementPort))
	}
	if config.enabled(mqtt) {
		lines = append(lines, "mqtt.listeners.tcp.local = "+config.Host.at(known.MQTTPort),
			"mqtt.allow_anonymous = false", "mqtt.vhost = /", "mqtt.exchange = amq.topic")
	}
	return append(lines, config.Settings...)
}

// environment is the node's whole environment.
func environment(config Config, known memory, l layout, erlang string) []string {
	all := []string{
		"HOME=" + l.home,
		"PATH=" + erlang,
		"LANG=C.UTF-8",
		"ERL_EPMD_ADDRESS=" + config.Host.Address,
		fmt.Sprintf("ERL_EPMD_PORT=%d", known.EpmdPort),
		// A crash shall neither take minutes nor fill the disk.
		"ERL_CRASH_DUMP_SECONDS=0",
		// The script becomes the node instead of staying beside it, so signals and the pid file mean the node itself.
		"RUNNING_UNDER_SYSTEMD=true",
		"RABBITMQ_NODENAME=" + known.Node,
		"RABBITMQ_NODE_IP_ADDRESS=" + config.Host.Address,
		fmt.Sprintf("RABBITMQ_NODE_PORT=%d", known.AMQPPort),
		fmt.Sprintf("RABBITMQ_DIST_PORT=%d", known.DistPort),
		"RABBITMQ_MNESIA_BASE=" + l.data,
		"RABBITMQ_LOG_BASE=" + l.logs,
		"RABBITMQ_ENABLED_PLUGINS_FILE=" + l.plugins,
		"RABBITMQ_CONF_ENV_FILE=" + l.environment,
		"RABBITMQ_CONFIG_FILE=" + l.config,
		"RABBITMQ_CONFIG_FILES=" + l.more,
		"RABBITMQ_ADVANCED_CONFIG_FILE=" + l.advanced,
		"RABBITMQ_PID_FILE=" + l.pid,
		// Nodes that bind their schedulers to cores fight over the first ones.
		"RABBITMQ_SCHEDULER_BIND_TYPE=u",
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=" + erlangArguments(config),
	}
	if len(config.Hosts) > 0 {
		all = append(all, "ERL_INETRC="+l.hosts)
	}
	return all
}

// erlangArguments are split at spaces by the broker's script.
func erlangArguments(config Config) string {
	arguments := fmt.Sprintf("-kernel inet_dist_use_interface {%s} +S %d:%d",
		strings.ReplaceAll(config.Host.Address, ".", ","), config.Schedulers, config.Schedulers)
	if config.Silence > 0 {
		arguments += fmt.Sprintf(" -kernel net_ticktime %d", int(config.Silence.Seconds()))
	}
	return arguments
}
