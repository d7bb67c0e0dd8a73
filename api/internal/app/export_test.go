package app

import (
	"runtime"
	"strings"
	"testing"
)

// exported letters, each with a payload that a page must not bring along.
const exported = 20_000

// A walk through many letters keeps no more in memory at its end than at its beginning, whether they bring their payloads along or not.
func TestExportIsFlatInMemory(t *testing.T) {
	t.Parallel()
	for _, parameters := range []string{"limit=1000", "limit=100&payloads=true"} {
		t.Run(parameters, func(t *testing.T) {
			t.Parallel()
			exportFlat(t, parameters)
		})
	}
}

func exportFlat(t *testing.T, parameters string) {
	w := newWorld(t, nil)
	if _, err := w.pool.Exec(t.Context(), `insert into dead_letters (tenant, letter_id, identity, client, device, device_type, method, lane, redrive,
		reason, executed, detail, state, payload, properties, headers, deaths, digest, died_at)
		select $1, gen_random_uuid(), n::text::bytea, 'web', 'lamp', 'lamp', 'm', 'default', 0, 'expired', 'no', '', 'open',
			convert_to(repeat('x', 2000), 'UTF8'), '{}', '{}', '[]', '', now() - n * interval '1 second' from generate_series(1, $2::int) n`,
		"acme", exported); err != nil {
		t.Fatal(err)
	}
	live := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var first uint64
	met, after := 0, ""
	for pages := 1; ; pages++ {
		a := w.do("GET", "/v1/dead-letters?"+parameters+after, "")
		w.expect(a, 200, "")
		var page struct {
			Letters []struct {
				Payload  string `json:"payload"`
				Encoding string `json:"payload_encoding"`
			} `json:"letters"`
			Next string `json:"next"`
		}
		w.into(a, &page)
		met += len(page.Letters)
		for _, l := range page.Letters {
			if whole := l.Encoding == "hex" && l.Payload == strings.Repeat("78", 2000); whole != strings.Contains(parameters, "payloads") {
				t.Fatalf("a letter with a payload of %d, %q", len(l.Payload), l.Encoding)
			}
		}
		if pages == 2 {
			first = live()
		}
		if page.Next == "" {
			break
		}
		after = "&after=" + page.Next
	}
	if met != exported {
		t.Errorf("met %d letters of %d", met, exported)
	}
	// Other tests run beside this one; half of what the payloads alone would be is beyond their noise.
	if grown := int64(live()) - int64(first); grown > exported*2000/2 {
		t.Errorf("%d bytes more are held after %d letters", grown, met)
	}
}
