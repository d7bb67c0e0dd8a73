package install_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// compose loads compose.yaml with the specification's own loader: its schema is closed, and
// dependencies, volumes and profiles must name what there is.
func compose(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(root, "compose.yaml")}, cli.WithProfiles([]string{"*"}))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func TestComposeRunsTheImagesPrograms(t *testing.T) {
	t.Parallel()
	image := parseDockerfile(t)
	var programs []string
	for _, path := range image.copied {
		programs = append(programs, path)
	}
	project, used := compose(t), map[string]bool{}
	for name, service := range project.Services {
		command := slices.Concat(service.Entrypoint, service.Command)
		if service.Image != "cupline:dev" {
			continue
		}
		if len(command) == 0 || !slices.Contains(programs, command[0]) {
			t.Errorf("service %s runs %v: not a program of the image %v", name, command, programs)
			continue
		}
		used[command[0]] = true
		if !service.ReadOnly {
			t.Errorf("service %s: its root is not read-only", name)
		}
	}
	for _, path := range programs {
		if strings.HasPrefix(path, "/usr/bin/") && !used[path] {
			t.Errorf("nothing runs %s", path)
		}
	}
	if project.Services["migrate"].Build == nil {
		t.Error("nothing builds the image")
	}
}

func TestComposePublishesOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	published := 0
	for name, service := range compose(t).Services {
		for _, port := range service.Ports {
			published++
			if port.HostIP != "127.0.0.1" {
				t.Errorf("service %s publishes %s on %q: the passwords are a demo's", name, port.Published, port.HostIP)
			}
		}
	}
	if published == 0 {
		t.Error("nothing is published")
	}
}
