package main

import (
	"testing"

	"github.com/cupline/cupline/local/services"
)

func TestEveryLicenceIsAccepted(t *testing.T) {
	t.Parallel()
	root, err := services.Root()
	if err != nil {
		t.Fatal(err)
	}
	modules, err := linked(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	if len(modules) < 10 {
		t.Errorf("only %d modules: is this all that the programs are built from?", len(modules))
	}
	for _, m := range modules {
		if m.licence() == "" {
			t.Errorf("%s: its licence is not accepted, or not recognised", m.path)
		}
	}
}

func TestOthersAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "GNU GENERAL PUBLIC LICENSE Version 3", "All rights reserved.", "Business Source License 1.1"} {
		if got := recognise(text); got != "" {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
}
