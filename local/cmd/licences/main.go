// Command licences lists the modules that Cupline's programs are built from, with the licence of each, and fails for one
// whose licence is not among those that are accepted:
//
//	go run ./local/cmd/licences
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cupline/cupline/local/services"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	root, err := services.Root()
	if err != nil {
		return err
	}
	modules, err := linked(ctx, root)
	if err != nil {
		return err
	}
	var unknown []string
	for _, m := range modules {
		name := m.licence()
		if name == "" {
			unknown = append(unknown, m.path)
			name = "UNKNOWN"
		}
		fmt.Printf("%-14s %s %s\n", name, m.path, m.version)
	}
	if len(unknown) > 0 {
		return fmt.Errorf("not accepted, or not recognised: %s", strings.Join(unknown, ", "))
	}
	return nil
}

// module is one that some program links.
type module struct{ path, version, dir string }

// programs are what is shipped.
var programs = []string{"./api/cmd/api", "./dispatcher/cmd/dispatcher", "./pusher/cmd/pusher", "./agent/cmd/cupline-agent", "./cli/cmd/cupline"}

// linked asks the go command, in the workspace.
func linked(ctx context.Context, root string) ([]module, error) {
	arguments := append([]string{"list", "-deps", "-f", "{{with .Module}}{{.Path}}\t{{.Version}}\t{{.Dir}}{{end}}"}, programs...)
	list := exec.CommandContext(ctx, "go", arguments...)
	list.Dir, list.Stderr = root, os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("list what the programs are built from: %w", err)
	}
	var all []module
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) != 3 || strings.HasPrefix(fields[0], "github.com/cupline/") {
			continue
		}
		if m := (module{fields[0], fields[1], fields[2]}); !slices.Contains(all, m) {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b module) int { return strings.Compare(a.path, b.path) })
	return all, nil
}

// licence is the name of an accepted one; empty for any other, and for none.
func (m module) licence() string {
	for _, name := range []string{"LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "COPYING", "LICENSE.MIT", "License"} {
		if text, err := os.ReadFile(filepath.Join(m.dir, name)); err == nil {
			return recognise(string(text))
		}
	}
	return ""
}

// recognise tells an accepted licence by the words that only it has.
func recognise(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	has := func(words ...string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
	}
	switch {
	case has("Apache License", "Version 2.0, January 2004"):
		return "Apache-2.0"
	case has("Permission is hereby granted, free of charge", "The above copyright notice and this permission notice"):
		return "MIT"
	case has("Redistribution and use in source and binary forms", "may be used to endorse or promote products"):
		return "BSD-3-Clause"
	case has("Redistribution and use in source and binary forms", "Redistributions in binary form must reproduce"):
		return "BSD-2-Clause"
	case has("Permission to use, copy, modify, and/or distribute this software for any purpose"),
		has("Permission to use, copy, modify, and distribute this software for any purpose"):
		return "ISC"
	case has("under the terms of the Eclipse Public License v2.0 and Eclipse Distribution License v1.0"):
		return "EDL-1.0" // one of two, at the user's choice; it is BSD-3-Clause in other words
	}
	return ""
}
