package message

import "testing"

func TestHeaders(t *testing.T) {
	t.Parallel()
	m := Message{Headers: map[string]any{
		"text": "x", "bytes": []byte("x"), "yes": true, "no": false, "float": 1.5,
		"i64": int64(-1), "i32": int32(-1), "i16": int16(-1), "i8": int8(-1), "int": -1, "u8": uint8(255),
	}}
	if m.String("text") != "x" || m.String("bytes") != "" || m.String("absent") != "" {
		t.Error("String is for string headers alone")
	}
	for _, name := range []string{"i64", "i32", "i16", "i8", "int"} {
		if n, ok := m.Int(name); !ok || n != -1 {
			t.Errorf("%s: %d %v", name, n, ok)
		}
	}
	if n, ok := m.Int("u8"); !ok || n != 255 {
		t.Errorf("u8: %d %v", n, ok)
	}
	for _, name := range []string{"text", "yes", "float", "absent"} {
		if n, ok := m.Int(name); ok {
			t.Errorf("%s: %d", name, n)
		}
	}
	if !m.Bool("yes") || m.Bool("no") || m.Bool("text") || m.Bool("absent") {
		t.Error("Bool is for boolean headers alone")
	}
	var empty Message
	if _, ok := empty.Int("x"); ok || empty.String("x") != "" || empty.Bool("x") {
		t.Error("a message without headers has none")
	}
}
