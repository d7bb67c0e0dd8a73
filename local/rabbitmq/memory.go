package rabbitmq

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"

	"github.com/cupline/cupline/local/place"
	"github.com/cupline/cupline/local/ports"
)

// memory is what a folder remembers of its node. It holds secrets: its file is readable by its owner only.
type memory struct {
	Node           string `json:"node"`
	User           string `json:"user"`
	Password       string `json:"password"`
	Cookie         string `json:"cookie"`
	AMQPPort       int    `json:"amqp_port"`
	MQTTPort       int    `json:"mqtt_port"`
	ManagementPort int    `json:"management_port"`
	DistPort       int    `json:"dist_port"`
	EpmdPort       int    `json:"epmd_port"`
}

// remember reads the folder's memory or makes one, replaces ports that were taken meanwhile, and saves it.
func remember(folder place.Folder, config Config) (memory, error) {
	var known memory
	err := folder.Recall(&known)
	if errors.Is(err, os.ErrNotExist) {
		known, err = invent(config), nil
	}
	if err != nil {
		return memory{}, err
	}
	chosen, err := ports.Choose(known.AMQPPort, known.MQTTPort, known.ManagementPort, known.DistPort, known.EpmdPort)
	if err != nil {
		return memory{}, err
	}
	known.AMQPPort, known.MQTTPort, known.ManagementPort = chosen[0], chosen[1], chosen[2]
	known.DistPort, known.EpmdPort = chosen[3], chosen[4]
	if config.EpmdPort != 0 {
		known.EpmdPort = config.EpmdPort
	}
	return known, folder.Remember(known)
}

// invent makes up a new node's name and secrets.
func invent(config Config) memory {
	fresh := memory{Node: config.Node, User: config.User, Password: rand.Text(), Cookie: config.Cookie}
	if fresh.Node == "" {
		var unique [4]byte
		_, _ = rand.Read(unique[:]) // crypto/rand.Read never fails
		fresh.Node = "cupline-" + hex.EncodeToString(unique[:]) + "@localhost"
	}
	if fresh.Cookie == "" {
		fresh.Cookie = rand.Text()
	}
	return fresh
}
