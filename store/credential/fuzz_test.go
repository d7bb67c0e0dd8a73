package credential

import "testing"

func FuzzPassword(f *testing.F) {
	_, password := newPassword()
	for _, text := range []string{password, "", "dev_", password[:20], password + "x", "dev_aaaaaaaaaaaaaaaa_\x00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if id, ok := ID(text); ok && (len(text) != len(password) || text[len(prefix):len(prefix)+idLength] != id) {
			t.Errorf("%q is taken for one of %q", text, id)
		}
	})
}
