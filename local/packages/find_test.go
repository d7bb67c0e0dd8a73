package packages

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]Version{
		"3.10.8":             {Major: 3, Minor: 10, Patch: 8},
		"3.10.8-1.1+deb12u1": {Major: 3, Minor: 10, Patch: 8},
		"1:4.0.5-6":          {Major: 4, Minor: 0, Patch: 5},
		"15":                 {Major: 15},
		"17.6 (Debian)":      {Major: 17, Minor: 6},
		"1.2.3.4":            {Major: 1, Minor: 2, Patch: 3},
	} {
		if got, err := ParseVersion(text); err != nil || got != want {
			t.Errorf("ParseVersion(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	if _, err := ParseVersion("none"); err == nil {
		t.Error("ParseVersion of a word: no error")
	}
}

func TestFindRabbitMQ(t *testing.T) {
	for name, c := range map[string]struct {
		folders []string
		want    Version
		says    string
	}{
		"absent":  {says: "not installed"},
		"found":   {folders: []string{"3.10.8"}, want: Version{Major: 3, Minor: 10, Patch: 8}},
		"newest":  {folders: []string{"3.13.7", "4.0.5"}, want: Version{Major: 4, Minor: 0, Patch: 5}},
		"too old": {folders: []string{"3.9.13"}, want: Version{Major: 3, Minor: 9, Patch: 13}, says: "3.10 or later"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for _, folder := range c.folders {
				place(t, filepath.Join(root, "lib", "rabbitmq_server-"+folder, "x"))
				place(t, filepath.Join(root, "bin", "rabbitmq-server"))
			}
			got, err := findRabbitMQ(root)
			if says(err) != (c.says != "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Fatalf("error %v, want one with %q", err, c.says)
			}
			if errors.Is(err, ErrMissing) != (c.folders == nil) {
				t.Errorf("%v: is ErrMissing: %v", err, errors.Is(err, ErrMissing))
			}
			if got.Version != c.want {
				t.Errorf("version %v, want %v", got.Version, c.want)
			}
		})
	}
}

func TestFindPostgres(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // no pg_config
	root := t.TempDir()
	if _, err := findPostgres(root); !errors.Is(err, ErrMissing) {
		t.Errorf("with nothing installed: %v, want ErrMissing", err)
	}
	for _, version := range []string{"9.6", "14"} {
		place(t, filepath.Join(root, version, "bin", "postgres"))
		place(t, filepath.Join(root, version, "bin", "initdb"))
	}
	if _, err := findPostgres(root); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "version 14") {
		t.Errorf("with 14 installed: %v, want ErrMissing that names it", err)
	}
	place(t, filepath.Join(root, "17", "bin", "psql")) // the client alone
	for _, version := range []string{"15", "16"} {
		place(t, filepath.Join(root, version, "bin", "postgres"))
		place(t, filepath.Join(root, version, "bin", "initdb"))
	}
	got, err := findPostgres(root)
	if want := (Postgres{Major: 16, Bin: filepath.Join(root, "16", "bin")}); err != nil || got != want {
		t.Errorf("findPostgres() = %+v, %v; want %+v", got, err, want)
	}
}

func TestMissing(t *testing.T) {
	there := Need{Name: "there", Present: func() error { return nil }}
	absent := Need{Name: "absent", Present: func() error { return ErrMissing }}
	broken := Need{Name: "broken", Present: func() error { return errors.New("too old") }}
	missing, err := Missing(there, absent)
	if err != nil || len(missing) != 1 || missing[0].Name != "absent" {
		t.Errorf("Missing = %v, %v", missing, err)
	}
	if _, err := Missing(absent, broken); err == nil || !strings.Contains(err.Error(), "too old") {
		t.Errorf("Missing with a broken need: %v", err)
	}
	if err := Program("sh").Present(); err != nil {
		t.Errorf("sh: %v", err)
	}
	if err := Program("no-such-program").Present(); !errors.Is(err, ErrMissing) {
		t.Errorf("a program that is not there: %v", err)
	}
}

func says(err error) bool { return err != nil }

// place makes an executable file and the folders above it.
func place(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}
