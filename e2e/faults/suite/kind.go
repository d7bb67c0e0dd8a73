package suite

import (
	"strings"

	"github.com/cupline/cupline/verify/load"
)

// kind of a process is its name without its number: dispatcher, and recorder where that is its role.
func (p part) kind() string { return unnumbered(p.name) }

// unnumbered is a name without what tells it from its like.
func unnumbered(name string) string {
	kind, _, _ := strings.Cut(name, "-")
	return kind
}

// outsideKind is what links to clients and devices are of, by their names.
func outsideKind(name string) string {
	what, _, _ := strings.Cut(name, of)
	switch client, isClient := strings.CutPrefix(what, load.ClientLink); {
	case isClient:
		_, to, _ := strings.Cut(client, " to ")
		service, _, _ := strings.Cut(to, " ")
		return "a client to " + service
	case strings.HasPrefix(what, "clients to "):
		return "all " + unnumbered(what)
	case strings.HasPrefix(what, "web"):
		return "a device over HTTP"
	}
	return "a device over MQTT"
}
