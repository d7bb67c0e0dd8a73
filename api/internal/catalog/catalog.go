// Package catalog holds what tenants describe (devices, device types, keys) to its rules,
// before it is stored. Every check reports all problems at once, as sentences for people.
package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/api/internal/intake"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/identity"
)

// DriverHTTP is the driver whose devices need an address with a URL.
const DriverHTTP = "http"

// CheckType lists what is wrong with a device type; the JSON Schema of each method's params is compiled.
func CheckType(t device.Type) []string {
	problems := sentences(t.Check())
	for _, name := range sorted(t.Methods) {
		text := t.Methods[name].Params
		if len(text) == 0 || len(text) > device.MaxParamsSchema {
			continue
		}
		if _, err := intake.CompileParams(text); err != nil {
			problems = append(problems, fmt.Sprintf("methods.%s.params: %v", name, err))
		}
	}
	return problems
}

// CheckDevice lists what is wrong with a device; driver is its type's.
func CheckDevice(d device.Device, driver string) []string {
	problems := sentences(d.Check())
	if driver == DriverHTTP && len(problems) == 0 {
		if reason := wrongURL(d.Address); reason != "" {
			problems = append(problems, "address.url: "+reason)
		}
	}
	return problems
}

func wrongURL(address json.RawMessage) string {
	var said struct {
		URL *string `json:"url"`
	}
	if len(address) > 0 {
		if err := json.Unmarshal(address, &said); err != nil {
			return "must be a string"
		}
	}
	if said.URL == nil {
		return "is missing; the driver http needs it"
	}
	u, err := url.Parse(*said.URL)
	switch {
	case err != nil:
		return "must be a URL"
	case u.Scheme != "http" && u.Scheme != "https":
		return "must start with http:// or https://"
	case u.Hostname() == "":
		return "must name a host"
	case u.User != nil:
		return "must not hold a user name or password"
	case u.Fragment != "":
		return "must not have a fragment"
	}
	return ""
}

// maxKeyName is the longest name of a key, in characters.
const maxKeyName = 128

// CheckKey lists what is wrong with a key that is asked for. now is database time.
func CheckKey(k identity.NewKey, now time.Time) []string {
	problems := sentences(errors.Join(topology.CheckID("client", k.Client), k.Reach.Check()))
	if utf8.RuneCountInString(k.Name) > maxKeyName || strings.ContainsFunc(k.Name, unicode.IsControl) {
		problems = append(problems, fmt.Sprintf("name: must be at most %d characters, without control characters", maxKeyName))
	}
	if len(k.Scopes) == 0 {
		problems = append(problems, "scopes: must have at least one")
	}
	for i, s := range k.Scopes {
		switch {
		case !auth.Scope(s).Known():
			problems = append(problems, fmt.Sprintf("scopes: %.64q is no scope", s))
		case slices.Contains(k.Scopes[:i], s):
			problems = append(problems, fmt.Sprintf("scopes: %s stands twice", s))
		case !k.Reach.All() && !slices.Contains(auth.Narrow(), auth.Scope(s)):
			problems = append(problems, fmt.Sprintf("scopes: %s is about all of a tenant, so a key for some devices cannot have it", s))
		}
	}
	if !k.Expires.IsZero() && !k.Expires.After(now) {
		problems = append(problems, "expires_at: must lie ahead")
	}
	return problems
}

// sentences takes joined errors apart.
func sentences(err error) []string {
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

func sorted(methods map[string]device.Method) []string {
	names := make([]string, 0, len(methods))
	for name := range methods {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
