package install_test

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root of the checkout, from this package's folder.
const root = ".."

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// dockerfile is what the image is made of, as its lines say.
type dockerfile struct {
	env     []string
	builds  [][]string        // words of each `go build`
	copied  map[string]string // from the build stage to the image
	lastRun string            // the user of the last stage
}

func parseDockerfile(t *testing.T) dockerfile {
	t.Helper()
	d := dockerfile{copied: map[string]string{}}
	for line := range strings.Lines(read(t, "Dockerfile")) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || strings.HasPrefix(words[0], "#"):
		case words[0] == "ENV":
			d.env = append(d.env, words[1:]...)
		case words[0] == "RUN" && words[1] == "go":
			d.builds = append(d.builds, words[1:])
		case words[0] == "COPY" && words[1] == "--from=build" && len(words) == 4:
			d.copied[words[2]] = words[3]
		case words[0] == "USER":
			d.lastRun = words[1]
		}
	}
	return d
}

func TestTheImagesBuildMakesStaticPrograms(t *testing.T) {
	t.Parallel()
	d := parseDockerfile(t)
	if len(d.builds) == 0 {
		t.Fatal("the Dockerfile builds nothing")
	}
	if !slices.Contains(d.env, "GOWORK=off") || !slices.Contains(d.env, "CGO_ENABLED=0") {
		t.Errorf("ENV %v: must have GOWORK=off and CGO_ENABLED=0", d.env)
	}
	out := t.TempDir()
	for _, words := range d.builds {
		target := words[slices.Index(words, "-o")+1]
		into, there := d.copied[target]
		if !there || into != "/usr/bin/"+filepath.Base(target) {
			t.Errorf("%s is copied to %q: must be in /usr/bin", target, into)
		}
		place := filepath.Join(out, filepath.Base(target))
		args := slices.Clone(words[1:])
		args[slices.Index(args, target)] = place
		build := exec.CommandContext(t.Context(), "go", args...)
		build.Dir, build.Env = root, append(os.Environ(), d.env...)
		if said, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", words, err, said)
		}
		mustBeStatic(t, place)
	}
	for from := range d.copied {
		if strings.HasPrefix(from, "/out/") && !slices.ContainsFunc(d.builds, func(w []string) bool { return slices.Contains(w, from) }) {
			t.Errorf("%s is copied and never built", from)
		}
	}
}

func mustBeStatic(t *testing.T, path string) {
	t.Helper()
	program, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = program.Close() }()
	for _, part := range program.Progs {
		if part.Type == elf.PT_INTERP || part.Type == elf.PT_DYNAMIC {
			t.Errorf("%s is linked dynamically: %v", path, part.Type)
		}
	}
}

func TestTheImageIsNobodysRoot(t *testing.T) {
	t.Parallel()
	if user := parseDockerfile(t).lastRun; !regexp.MustCompile(`^[1-9][0-9]*:[1-9][0-9]*$`).MatchString(user) {
		t.Errorf("USER %q: must be numbers and not root, for Kubernetes to see", user)
	}
}
