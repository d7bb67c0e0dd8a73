package app

import (
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/cupline/cupline/store/deadletter"
)

func TestMarksAndNotes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	one := w.bury(nil)
	other := w.bury(func(l *deadletter.Letter) { l.Reason = "expired" })
	letter, group := "/v1/dead-letters/"+one, "/v1/dead-letter-groups/"+w.letterOf(other).Group
	a := w.do("POST", letter+"/marks", `{"add_tags":["vip","kitchen","vip"],"assignee":"ann","actor":"ann"}`)
	if w.expect(a, 200, ""); a.body != `{"assignee":"ann","tags":["kitchen","vip"]}` {
		t.Errorf("marked: %v", a)
	}
	w.expect(w.do("POST", letter+"/marks", `{"assignee":"bob"}`), 409, "assigned")
	w.expect(w.do("POST", letter+"/marks", `{"assignee":"bob","from":"ann","remove_tags":["kitchen"]}`), 200, "")
	w.expect(w.do("POST", group+"/marks", `{"add_tags":["storm"],"assignee":"eve"}`), 200, "")
	w.expect(w.do("POST", letter+"/notes", `{"note":"asked the shop","actor":"ann"}`), 201, "")
	w.expect(w.do("POST", group+"/notes", `{"note":"the mast is down"}`), 201, "")
	for query, want := range map[string]string{"tag=vip": one, "assignee=bob": one, "tag=storm": other, "assignee=eve": other, "tag=vip&assignee=bob": one} {
		if a := w.do("GET", "/v1/dead-letters?"+query, ""); strings.Count(a.body, `"letter_id"`) != 1 || !strings.Contains(a.body, want) {
			t.Errorf("%s: %v", query, a)
		}
	}
	if a := w.do("GET", "/v1/dead-letters?tag=kitchen", ""); strings.Contains(a.body, "letter_id") {
		t.Errorf("a tag that was taken away: %v", a)
	}
	if a := w.do("GET", "/v1/dead-letters/groups?tag=storm", ""); strings.Count(a.body, `"group"`) != 1 || !strings.Contains(a.body, `"assignee":"eve","tags":["storm"]`) {
		t.Errorf("groups: %v", a)
	}
	if a := w.do("GET", "/v1/dead-letters/"+other, ""); !strings.Contains(a.body, `"note":"the mast is down"`) || !strings.Contains(a.body, `"group_mark":{"assignee":"eve"`) {
		t.Errorf("letter: %v", a)
	}
	if a := w.do("GET", letter+"/notes?limit=1", ""); !strings.Contains(a.body, `"note":"asked the shop"`) || !strings.Contains(a.body, `"actor":"ann (key `) {
		t.Errorf("notes: %v", a)
	}
	if a := w.do("GET", "/v1/audit?stage=operator", ""); strings.Count(a.body, `"action":"mark"`) != 3 || strings.Count(a.body, `"action":"note"`) != 2 {
		t.Errorf("audit: %v", a)
	}
	theirs := w.bury(func(l *deadletter.Letter) { l.Tenant = "other" })
	for _, c := range []struct {
		path, body string
		status     int
		code       string
	}{
		{"/v1/dead-letters/" + theirs + "/marks", `{"assignee":"x"}`, 404, "unknown_letter"},
		{"/v1/dead-letters/" + theirs + "/notes", `{"note":"x"}`, 404, "unknown_letter"},
		{"/v1/dead-letter-groups/" + uuid.NewString() + "/notes", `{"note":"x"}`, 404, "unknown_group"},
		{"/v1/dead-letter-groups/x/marks", `{"assignee":"x"}`, 404, "unknown_group"},
		{letter + "/marks", `{}`, 400, "invalid_request"},
		{letter + "/marks", `{"add_tags":[""]}`, 400, "invalid_request"},
		{letter + "/marks", `{"add_tags":["a\u0000"]}`, 400, "invalid_request"},
		{letter + "/marks", `{"assignee":"` + strings.Repeat("x", 129) + `"}`, 400, "invalid_request"},
		{letter + "/notes", `{"note":" "}`, 400, "invalid_request"},
		{letter + "/notes?who=ann", `{"note":"x"}`, 400, "invalid_parameter"},
	} {
		w.expect(w.do("POST", c.path, c.body), c.status, c.code)
	}
	// Of many who take a letter at once, one has it.
	free := w.bury(nil)
	answers := make([]answer, 6)
	var operators sync.WaitGroup
	for i := range answers {
		operators.Go(func() {
			answers[i] = w.do("POST", "/v1/dead-letters/"+free+"/marks", `{"assignee":"op-`+string(rune('a'+i))+`"}`)
		})
	}
	operators.Wait()
	won := 0
	for _, a := range answers {
		if a.status == 200 {
			won++
		} else {
			w.expect(a, 409, "assigned")
		}
	}
	if won != 1 {
		t.Errorf("%d have it", won)
	}
}
