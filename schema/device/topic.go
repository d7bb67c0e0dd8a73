package device

import (
	"strings"

	"github.com/cupline/cupline/schema/topology"
)

// Topics of devices, as routing keys of topology.DeviceExchange; RabbitMQ's MQTT
// plugin turns each dot into the slash that devices see, and back.

// CommandsKey is where a device hears commands from one dispatcher.
func CommandsKey(tenant, device, dispatcher string) string {
	return "devices." + tenant + "." + device + ".commands." + dispatcher
}

// RepliesKey is where the device answers that dispatcher.
func RepliesKey(tenant, device, dispatcher string) string {
	return "devices." + tenant + "." + device + ".replies." + dispatcher
}

// EventsKey is where the device tells of what happens; name is one word or several, with dots between.
func EventsKey(tenant, device, name string) string {
	return "devices." + tenant + "." + device + ".events." + name
}

// ParseRepliesKey takes a RepliesKey apart. ok is false for anything else.
func ParseRepliesKey(key string) (tenant, device, dispatcher string, ok bool) {
	parts := strings.Split(key, ".")
	if len(parts) != 5 || parts[0] != "devices" || parts[3] != "replies" {
		return "", "", "", false
	}
	tenant, device, dispatcher = parts[1], parts[2], parts[4]
	ok = topology.ValidID(tenant) && topology.ValidID(device) && topology.ValidID(dispatcher)
	return tenant, device, dispatcher, ok
}

// CommandsFilter is the MQTT topic filter that a device subscribes to.
func CommandsFilter(tenant, device string) string {
	return "devices/" + tenant + "/" + device + "/commands/+"
}

// AnswerTopic turns the MQTT topic on which a command came into the one its answer
// goes to. ok is false when the topic is not one of commands.
func AnswerTopic(topic string) (answer string, ok bool) {
	parts := strings.Split(topic, "/")
	if len(parts) != 5 || parts[0] != "devices" || parts[3] != "commands" {
		return "", false
	}
	parts[3] = "replies"
	return strings.Join(parts, "/"), true
}

// Login is the MQTT user name of a device, and the client id it has to use or extend with a slash.
func Login(tenant, device string) string { return tenant + "/" + device }
