package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTailIsTheEndOfWhatHasOne(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	short, long := filepath.Join(folder, "short"), filepath.Join(folder, "long")
	for path, content := range map[string]string{short: "all of it", long: strings.Repeat("x", 10_000) + "the end"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := Tail(short, filepath.Join(folder, "absent"), folder); got != "all of it" {
		t.Errorf("got %q", got)
	}
	if got := Tail(long); len(got) != 2000 || !strings.HasSuffix(got, "xthe end") {
		t.Errorf("%d bytes", len(got))
	}
	// A log led there can be read for ever.
	if got := Tail("/dev/zero"); got != "" {
		t.Errorf("of a device: %d bytes", len(got))
	}
}
