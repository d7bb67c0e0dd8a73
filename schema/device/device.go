// Package device holds what operators and device makers describe: devices, their
// types, and the policy of each method. It is data, never code.
package device

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/topology"
)

// Limits and defaults of policies.
const (
	DefaultTimeout = 10 * time.Second
	MinTimeout     = 10 * time.Millisecond
	// MaxTimeout stays below RabbitMQ's consumer timeout of 30 minutes, which closes a
	// channel with all its deliveries.
	MaxTimeout = 20 * time.Minute
	DefaultTTL = 60 * time.Second
	MinTTL     = time.Millisecond
	MaxTTL     = topology.MaxLaneTTL

	// MaxAddress and MaxLabels bound a device's description; MaxMethods and
	// MaxParamsSchema a type's. Bytes and pieces.
	MaxAddress      = 4096
	MaxLabels       = 32
	MaxLabelLength  = 256
	MaxMethods      = 256
	MaxParamsSchema = 64 << 10
)

// Device is one thing that executes commands.
type Device struct {
	Tenant string `json:"-"`
	ID     string `json:"device"`
	Type   string `json:"type"`
	// Address is the driver's own object, {"url":"..."} for http; may be absent.
	Address json.RawMessage   `json:"address,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
	// Paused is why its commands wait; nil while they do not. A put does not change it.
	Paused *topology.Pause `json:"paused,omitempty"`
}

// Type names the lane, the driver and the policies of a kind of device.
type Type struct {
	Tenant  string            `json:"-"`
	Name    string            `json:"type"`
	Lane    string            `json:"lane"`
	Driver  string            `json:"driver"`
	Methods map[string]Method `json:"methods,omitempty"`
}

// Method is the policy of one method. The zero value is that of a method nobody described.
type Method struct {
	// Idempotent methods may run again, even after later commands.
	Idempotent bool `json:"idempotent,omitempty"`
	// Timeout counts from the claim to the device's answer; 0 is DefaultTimeout.
	Timeout Duration `json:"timeout,omitempty"`
	// TTL is the default time in the queue; 0 is DefaultTTL.
	TTL Duration `json:"ttl,omitempty"`
	// Params is a JSON Schema (2020-12 unless it says otherwise) for params; absent allows all.
	Params json.RawMessage `json:"params,omitempty"`
}

// Method returns the policy of a method, with defaults in place.
func (t Type) Method(name string) Method {
	m := t.Methods[name]
	if m.Timeout == 0 {
		m.Timeout = Duration(DefaultTimeout)
	}
	if m.TTL == 0 {
		m.TTL = Duration(DefaultTTL)
	}
	return m
}

// Check reports every problem of the device at once.
func (d Device) Check() error {
	problems := []error{topology.CheckID("device", d.ID), topology.CheckID("type", d.Type)}
	if len(d.Address) > MaxAddress {
		problems = append(problems, fmt.Errorf("address: must be at most %d bytes", MaxAddress))
	}
	if a := bytes.TrimSpace(d.Address); len(a) > 0 && a[0] != '{' {
		problems = append(problems, errors.New("address: must be an object"))
	}
	if len(d.Labels) > MaxLabels {
		problems = append(problems, fmt.Errorf("labels: must be at most %d", MaxLabels))
	}
	for name, value := range d.Labels {
		if name == "" || len(name) > MaxLabelLength || len(value) > MaxLabelLength || !utf8.ValidString(name+value) {
			problems = append(problems, fmt.Errorf("labels: names of 1 and values of 0 to %d bytes", MaxLabelLength))
			break
		}
	}
	return errors.Join(problems...)
}

// Check reports every problem of the type at once, but those of the JSON Schemas,
// which whoever compiles them finds.
func (t Type) Check() error {
	problems := []error{
		topology.CheckID("type", t.Name), topology.CheckID("lane", t.Lane), topology.CheckID("driver", t.Driver),
	}
	if len(t.Methods) > MaxMethods {
		problems = append(problems, fmt.Errorf("methods: must be at most %d", MaxMethods))
	}
	for _, name := range slices.Sorted(maps.Keys(t.Methods)) {
		if err := jsonrpc.CheckMethod(name); err != nil {
			problems = append(problems, fmt.Errorf("methods: the name %.40q %w", name, err))
			continue
		}
		problems = append(problems, t.Methods[name].check("methods."+name))
	}
	return errors.Join(problems...)
}

func (m Method) check(field string) error {
	var problems []error
	if d := time.Duration(m.Timeout); d != 0 && (d < MinTimeout || d > MaxTimeout) {
		problems = append(problems, fmt.Errorf("%s.timeout: must be %s to %s", field, MinTimeout, MaxTimeout))
	}
	if d := time.Duration(m.TTL); d != 0 && (d < MinTTL || d > MaxTTL) {
		problems = append(problems, fmt.Errorf("%s.ttl: must be %s to %s", field, MinTTL, MaxTTL))
	}
	if len(m.Params) > MaxParamsSchema {
		problems = append(problems, fmt.Errorf("%s.params: must be at most %d bytes", field, MaxParamsSchema))
	}
	return errors.Join(problems...)
}
