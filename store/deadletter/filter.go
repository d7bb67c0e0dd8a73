package deadletter

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Filter chooses letters. Fields at their zero value do not choose; all others must hold at once.
type Filter struct {
	// Tenant is required.
	Tenant string `json:"-"`
	// From and Before bound the time of death: [From, Before).
	From   time.Time `json:"from,omitzero"`
	Before time.Time `json:"before,omitzero"`

	State      string `json:"state,omitempty"`
	Reason     string `json:"reason,omitempty"`
	Executed   string `json:"executed,omitempty"`
	Lane       string `json:"lane,omitempty"`
	Device     string `json:"device,omitempty"`
	DeviceType string `json:"device_type,omitempty"`
	Method     string `json:"method,omitempty"`
	Client     string `json:"client,omitempty"`
	// ID is the client's own id: one JSON value, or the text of a string.
	ID        string    `json:"id,omitempty"`
	CommandID uuid.UUID `json:"command_id,omitzero"`
	Group     uuid.UUID `json:"group,omitzero"`
	// Text stands in the payload (as it is) or in the detail (in any case of letters).
	Text string `json:"text,omitempty"`
}

// clause collects conditions and their arguments.
type clause struct {
	conditions []string
	args       []any
}

// add takes a condition in which %s stands for the argument.
func (c *clause) add(condition string, arg any) {
	c.args = append(c.args, arg)
	c.conditions = append(c.conditions, strings.ReplaceAll(condition, "%s", fmt.Sprintf("$%d", len(c.args))))
}

// arg adds an argument without a condition, and returns its placeholder.
func (c *clause) arg(arg any) string {
	c.args = append(c.args, arg)
	return fmt.Sprintf("$%d", len(c.args))
}

func (c *clause) sql() string { return strings.Join(c.conditions, " and ") }

func (f *Filter) clause() *clause {
	c := &clause{}
	c.add("tenant = %s", f.Tenant)
	if !f.From.IsZero() {
		c.add("died_at >= %s", f.From)
	}
	if !f.Before.IsZero() {
		c.add("died_at < %s", f.Before)
	}
	for _, field := range []struct{ column, value string }{
		{"state", f.State}, {"reason", f.Reason}, {"executed", f.Executed}, {"lane", f.Lane}, {"device", f.Device},
		{"device_type", f.DeviceType}, {"method", f.Method}, {"client", f.Client},
	} {
		if field.value != "" {
			c.add(field.column+" = %s", field.value)
		}
	}
	if f.ID != "" {
		c.add("id = any(%s)", [][]byte{[]byte(f.ID), []byte(`"` + f.ID + `"`)})
	}
	if f.CommandID != uuid.Nil {
		c.add("identity = %s", f.CommandID[:])
	}
	if f.Group != uuid.Nil {
		c.add("group_id = %s", [16]byte(f.Group))
	}
	if f.Text != "" {
		text := c.arg(f.Text)
		c.conditions = append(c.conditions, "(position(convert_to("+text+"::text, 'UTF8') in payload) > 0 or position(lower("+text+"::text) in lower(detail)) > 0)")
	}
	return c
}
