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
	// Job that acted on it last.
	Job uuid.UUID `json:"job_id,omitzero"`
	// Tag and Assignee of the letter, or of its group.
	Tag      string `json:"tag,omitempty"`
	Assignee string `json:"assignee,omitempty"`
	// Held chooses the letters whose command has died again Guard times or more.
	Held  bool `json:"held,omitempty"`
	Guard int  `json:"-"`
	// Undoable chooses those that were discarded within UndoLimit.
	Undoable bool `json:"-"`
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

// addMark takes a condition on the marks of a letter or its group.
func (c *clause) addMark(tenant, condition string, arg any) {
	marked := "array(select subject from desk_marks where tenant = " + c.arg(tenant) + " and " + condition + " and "
	c.add("(letter_id = any("+marked+"not is_group)) or group_id = any("+marked+"is_group)))", arg)
}

// arg adds an argument without a condition, and returns its placeholder.
func (c *clause) arg(arg any) string {
	c.args = append(c.args, arg)
	return fmt.Sprintf("$%d", len(c.args))
}

func (c *clause) sql() string { return strings.Join(c.conditions, " and ") }

// facetFields are the fields that letters of one facet have in common, and the group's.
func (f *Filter) facetFields() []struct{ column, value string } {
	return []struct{ column, value string }{
		{"reason", f.Reason}, {"device_type", f.DeviceType}, {"method", f.Method}, {"executed", f.Executed}, {"lane", f.Lane},
	}
}

// faceted reports whether a facet's field or the group chooses.
func (f *Filter) faceted() bool {
	for _, field := range f.facetFields() {
		if field.value != "" {
			return true
		}
	}
	return f.Group != uuid.Nil
}

// named reports whether a field chooses that has an index of its own: few letters, as a rule.
func (f *Filter) named() bool {
	return f.Device != "" || f.Client != "" || f.ID != "" || f.CommandID != uuid.Nil
}

// marked reports whether what operators did chooses: no count knows that, and no index has it beside the rest.
func (f *Filter) marked() bool {
	return f.Job != uuid.Nil || f.Tag != "" || f.Assignee != "" || f.Held || f.Undoable
}

// facets adds the conditions on a facet's fields.
func (f *Filter) facets(c *clause) {
	c.add("tenant = %s", f.Tenant)
	for _, field := range f.facetFields() {
		if field.value != "" {
			c.add(field.column+" = %s", field.value)
		}
	}
	if f.Group != uuid.Nil {
		c.add("group_id = %s", [16]byte(f.Group))
	}
}

// span adds the conditions on the time.
func (f *Filter) span(c *clause) {
	if !f.From.IsZero() {
		c.add("died_at >= %s", f.From)
	}
	if !f.Before.IsZero() {
		c.add("died_at < %s", f.Before)
	}
}

// rest adds what is neither tenant, nor time, nor of a facet: the names, and then what has to be read for it.
func (f *Filter) rest(c *clause) {
	for _, field := range []struct{ column, value string }{{"state", f.State}, {"device", f.Device}, {"client", f.Client}} {
		if field.value != "" {
			c.add(field.column+" = %s", field.value)
		}
	}
	if f.ID != "" {
		c.add("id = any(%s)", f.ids())
	}
	if f.CommandID != uuid.Nil {
		c.add("identity = %s", f.CommandID[:])
	}
	if f.Job != uuid.Nil {
		c.add("job_id = %s", [16]byte(f.Job))
	}
	if f.Tag != "" {
		c.addMark(f.Tenant, "tags @> array[%s::text]", f.Tag)
	}
	if f.Assignee != "" {
		c.addMark(f.Tenant, "assignee = %s", f.Assignee)
	}
	if f.Held {
		c.add("redrive > 0 and redrive >= %s", f.Guard) // the literal names the index
	}
	if f.Undoable {
		c.conditions = append(c.conditions, withinUndo)
	}
	if f.Text != "" {
		c.add("(position(lower(%s::text) in lower(detail)) > 0 or position(convert_to(%s::text, 'UTF8') in payload) > 0)", f.Text)
	}
}

// ids are the ways in which a client may have written the id.
func (f *Filter) ids() [][]byte { return [][]byte{[]byte(f.ID), []byte(`"` + f.ID + `"`)} }

// clause is all conditions on dead_letters. Those on a facet's fields are said by the facets that have
// them: there are few, and each is a stretch of one index.
func (f *Filter) clause() *clause {
	c := &clause{}
	c.add("tenant = %s", f.Tenant)
	if f.faceted() {
		var inner clause
		inner.args = c.args
		f.facets(&inner)
		c.args = inner.args
		c.conditions = append(c.conditions,
			"(group_id, executed, lane) in (select group_id, executed, lane from dead_letter_facets where "+inner.sql()+")")
	}
	f.span(c)
	f.rest(c)
	return c
}
