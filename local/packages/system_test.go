package packages

import (
	"strings"
	"testing"
)

func TestParseSystem(t *testing.T) {
	for text, want := range map[string]System{
		"PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n": {
			ID: "debian", Version: "12", Name: "Debian GNU/Linux 12 (bookworm)"},
		"# comment\nID=Ubuntu\nVERSION_ID='24.04'\n": {ID: "ubuntu", Version: "24.04", Name: "ubuntu 24.04"},
		"ID=debian\n": {ID: "debian", Name: "debian"},
	} {
		got, err := parseSystem(strings.NewReader(text))
		if err != nil || got != want {
			t.Errorf("parseSystem(%q) = %+v, %v; want %+v", text, got, err, want)
		}
	}
	if _, err := parseSystem(strings.NewReader("NAME=x\n")); err == nil {
		t.Error("parseSystem without an ID: no error")
	}
}

func TestSupported(t *testing.T) {
	for system, want := range map[System]bool{
		{ID: "debian", Version: "12"}:    true,
		{ID: "debian", Version: "13"}:    true,
		{ID: "debian", Version: "11"}:    false,
		{ID: "debian"}:                   true, // testing and unstable have no number
		{ID: "ubuntu", Version: "24.04"}: true,
		{ID: "ubuntu", Version: "25.10"}: true,
		{ID: "ubuntu", Version: "22.04"}: false,
		{ID: "ubuntu"}:                   false,
		{ID: "fedora", Version: "42"}:    false,
	} {
		if got := system.Supported(); got != want {
			t.Errorf("%+v: Supported() = %v, want %v", system, got, want)
		}
	}
}

func TestRecogniseThisMachine(t *testing.T) {
	system, err := Recognise()
	if err != nil || system.Name == "" {
		t.Errorf("Recognise() = %+v, %v", system, err)
	}
}
