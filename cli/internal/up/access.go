package up

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// access is how to reach what was started: the content of cupline.env.
type access struct {
	API, Push, Key string
	AMQP           string
	// MQTT is the agent's own way in, with name and password; not in cupline.env.
	MQTT string
	// MQTTPort is where other devices of this machine log in, of a broker that is private.
	MQTTPort   string
	Management string
	// Database is the owner's, for the command line; not what services get.
	Database string
}

func (a access) variables() [][2]string {
	return [][2]string{
		{"CUPLINE_API_URL", a.API},
		{"CUPLINE_PUSH_URL", a.Push},
		{"CUPLINE_KEY", a.Key},
		{"AMQP_URL", a.AMQP},
		{"DATABASE_URL", a.Database},
		{"RABBITMQ_MANAGEMENT_URL", a.Management},
		{"CUPLINE_MQTT_PORT", a.MQTTPort},
	}
}

// write makes the file that a shell can source. It holds secrets: only its owner can read it.
func (a access) write(path string) error {
	var text strings.Builder
	for _, v := range a.variables() {
		if v[1] != "" {
			fmt.Fprintf(&text, "export %s='%s'\n", v[0], strings.ReplaceAll(v[1], "'", `'\''`))
		}
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		return fmt.Errorf("write the addresses: %w", err)
	}
	return os.Chmod(path, 0o600)
}

// earlierKey is the demo client's key from an earlier run's file; empty when there is none.
func earlierKey(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "export CUPLINE_KEY='"); ok {
			return strings.TrimSuffix(value, "'")
		}
	}
	return ""
}
