package rabbitmq

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"

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

// remember reads the folder's memory or makes one, replaces ports that were taken meanwhile, and saves it. The ports are
// reserved.
func (i *Instance) remember() (*ports.Reservation, error) {
	var known memory
	err := i.folder.Recall(&known)
	if errors.Is(err, os.ErrNotExist) {
		known, err = invent(i.config), nil
	}
	if err != nil {
		return nil, err
	}
	if i.config.EpmdPort != 0 {
		known.EpmdPort = 0 // not ours to choose
	}
	reserved, err := ports.Reserve(known.AMQPPort, known.MQTTPort, known.ManagementPort, known.DistPort, known.EpmdPort)
	if err != nil {
		return nil, err
	}
	known.AMQPPort, known.MQTTPort, known.ManagementPort = reserved.Ports[0], reserved.Ports[1], reserved.Ports[2]
	known.DistPort, known.EpmdPort = reserved.Ports[3], reserved.Ports[4]
	if i.config.EpmdPort != 0 {
		known.EpmdPort = i.config.EpmdPort
	}
	if err := i.known.Remember(i.folder, known); err != nil {
		return nil, errors.Join(err, reserved.Release())
	}
	return reserved, nil
}

// invent makes up a new node's name and secrets.
func invent(config Config) memory {
	fresh := memory{Node: config.Node, User: config.User, Password: config.Password, Cookie: config.Cookie}
	if fresh.Password == "" {
		fresh.Password = rand.Text()
	}
	if fresh.Node == "" {
		var unique [4]byte
		_, _ = rand.Read(unique[:]) // crypto/rand.Read never fails
		fresh.Node = "cupline-" + hex.EncodeToString(unique[:]) + "@" + config.Host.Name
	}
	if fresh.Cookie == "" {
		fresh.Cookie = rand.Text()
	}
	return fresh
}
