package device

import (
	"path"
	"strings"
	"testing"
)

func TestReach(t *testing.T) {
	t.Parallel()
	north := map[string]string{"site": "north", "floor": "2"}
	for _, c := range []struct {
		reach  Reach
		id     string
		labels map[string]string
		want   bool
	}{
		{Reach{}, "lamp-1", nil, true},
		{Reach{Pattern: "*"}, "lamp-1", nil, true},
		{Reach{Pattern: "lamp-1"}, "lamp-1", nil, true},
		{Reach{Pattern: "lamp-1"}, "lamp-12", nil, false},
		{Reach{Pattern: "lamp-*"}, "lamp-", nil, true},
		{Reach{Pattern: "lamp-*"}, "Lamp-1", nil, false},
		{Reach{Pattern: "*-1"}, "lamp-1-1", nil, true},
		{Reach{Pattern: "a*b*c"}, "axxbxxbxc", nil, true},
		{Reach{Pattern: "a*b*c"}, "axxbxxbx", nil, false},
		{Reach{Labels: map[string]string{"site": "north"}}, "x", north, true},
		{Reach{Labels: map[string]string{"site": "south"}}, "x", north, false},
		{Reach{Labels: map[string]string{"room": ""}}, "x", north, false},
		{Reach{Pattern: "y*", Labels: map[string]string{"site": "north"}}, "x", north, false},
	} {
		if got := c.reach.Covers(c.id, c.labels); got != c.want {
			t.Errorf("%+v covers %s %v: %v", c.reach, c.id, c.labels, got)
		}
	}
	for _, wrong := range []Reach{
		{Pattern: "a.b"}, {Pattern: "*****"}, {Pattern: strings.Repeat("a", 65)}, {Labels: map[string]string{"": "x"}},
		{Labels: map[string]string{"x": strings.Repeat("y", MaxLabelLength+1)}},
	} {
		if wrong.Check() == nil {
			t.Errorf("%+v passes", wrong)
		}
	}
	if err := (Reach{Pattern: "lamp-*", Labels: north}).Check(); err != nil {
		t.Error(err)
	}
	if !(Reach{Pattern: "*"}).All() || (Reach{Pattern: "a*"}).All() || (Reach{Labels: north}).All() {
		t.Error("All")
	}
}

// The standard library's matcher knows the same patterns, and more.
func FuzzReachPattern(f *testing.F) {
	f.Add("lamp-*", "lamp-1")
	f.Add("a*b*c", "abbc")
	f.Fuzz(func(t *testing.T, pattern, id string) {
		r := Reach{Pattern: pattern}
		if pattern == "" || r.Check() != nil || strings.Contains(id, "/") || strings.ToValidUTF8(id, "") != id {
			return
		}
		want, err := path.Match(pattern, id)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Covers(id, nil); got != want {
			t.Errorf("%q on %q: %v", pattern, id, got)
		}
	})
}
