// Package devicelogin answers RabbitMQ, which asks whether a device may log in and what it may do
// (rabbitmq_auth_backend_http). Whether it may log in depends on its credentials; what it may do, on its name
// alone, so that the broker can remember those answers for long.
package devicelogin

import (
	"strings"

	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/topology"
)

// The broker's words for kinds of things and of rights.
const (
	kindQueue    = "queue"
	kindExchange = "exchange"
	configure    = "configure"
	write        = "write"
	read         = "read"
)

// maxClientID bounds the client id, which becomes part of a queue's name (255 bytes). In bytes.
const maxClientID = 200

// parse takes a log-in name apart: <tenant>/<device>.
func parse(name string) (tenant, id string, ok bool) {
	tenant, id, ok = strings.Cut(name, "/")
	return tenant, id, ok && topology.ValidID(tenant) && topology.ValidID(id)
}

// ownClientID tells whether a client id is the log-in name, or below it. A session's queue is named after the client id,
// and of two sessions with one id the later ends the first: with another's id a device would hear what that one is sent.
func ownClientID(login, clientID string) bool {
	rest, found := strings.CutPrefix(clientID, login)
	if !found || len(clientID) > maxClientID {
		return false
	}
	if rest == "" {
		return true
	}
	return strings.HasPrefix(rest, "/") && topology.ValidID(strings.ReplaceAll(rest[1:], "/", "_"))
}

// resourceAllowed tells what a device may do with queues and exchanges: everything with the queue of its own
// subscription at QoS 0, which ends with its connection; nothing with that of QoS 1, which would stay and take commands
// while the device is away; and on the devices' exchange publish and subscribe, by topics.
func resourceAllowed(login, clientID, kind, name, right string) bool {
	if !ownClientID(login, clientID) {
		return false
	}
	switch kind {
	case kindQueue:
		own := name == "mqtt-subscription-"+clientID+"qos0"
		return own && (right == configure || right == write || right == read)
	case kindExchange:
		return name == topology.DeviceExchange && (right == write || right == read)
	}
	return false
}

// topicAllowed tells which topics, as routing keys, a device may publish to (write) and subscribe to (read).
func topicAllowed(login, clientID, exchange, right, key string) bool {
	tenant, id, ok := parse(login)
	if !ok || !ownClientID(login, clientID) || exchange != topology.DeviceExchange {
		return false
	}
	switch right {
	case read:
		word, own := strings.CutPrefix(key, device.CommandsKey(tenant, id, ""))
		return own && (word == "*" || word == "#" || topology.ValidID(word))
	case write:
		if dispatcher, own := strings.CutPrefix(key, device.RepliesKey(tenant, id, "")); own {
			return topology.ValidID(dispatcher)
		}
		event, own := strings.CutPrefix(key, device.EventsKey(tenant, id, ""))
		return own && validEvent(event)
	}
	return false
}

// maxEventWords bounds the levels of an event's name.
const maxEventWords = 8

func validEvent(name string) bool {
	words := strings.Split(name, ".")
	for _, word := range words {
		if !topology.ValidID(word) {
			return false
		}
	}
	return len(words) <= maxEventWords
}
