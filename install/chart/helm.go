package chart

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// kubernetes is the release (1.x) for which Helm 3 renders and lints; built without it, it takes 1.20. Helm 4 takes
// that of the client library that it is built with.
const kubernetes = "33"

// BuildHelm builds Helm of a major version from its module, helm3/ or helm4/, in the
// folder install, into the folder bin, and returns its path. What is there already is not built anew.
func BuildHelm(ctx context.Context, install, bin string, major int) (string, error) {
	module := filepath.Join(install, fmt.Sprintf("helm%d", major))
	sums, err := os.ReadFile(filepath.Join(module, "go.sum"))
	if err != nil {
		return "", fmt.Errorf("build Helm %d: %w", major, err)
	}
	bin, err = filepath.Abs(bin)
	if err != nil {
		return "", fmt.Errorf("build Helm %d: %w", major, err)
	}
	digest := sha256.Sum256(sums)
	program := filepath.Join(bin, fmt.Sprintf("helm%d-%s", major, hex.EncodeToString(digest[:4])))
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	prefix := fmt.Sprintf("helm.sh/helm/v%d/", major)
	flags := "-s -w"
	versioned := []string{"pkg/chartutil", "pkg/lint/rules"}
	if major > 3 {
		versioned = nil
	}
	for _, name := range versioned {
		flags += fmt.Sprintf(" -X %[1]s%[2]s.k8sVersionMajor=1 -X %[1]s%[2]s.k8sVersionMinor=%[3]s", prefix, name, kubernetes)
	}
	// Built beside and moved: a build that was cut short leaves nothing that looks whole, and each of two builds at the
	// same time (the tests of two packages, say) has a place of its own.
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", fmt.Errorf("build Helm %d: %w", major, err)
	}
	beside, err := os.MkdirTemp(bin, "building-helm-")
	if err != nil {
		return "", fmt.Errorf("build Helm %d: %w", major, err)
	}
	defer os.RemoveAll(beside)
	unfinished := filepath.Join(beside, "helm")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", unfinished, prefix+"cmd/helm")
	build.Dir, build.Env = module, append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build Helm %d: %w\n%s", major, err, bytes.TrimSpace(said))
	}
	if err := os.Rename(unfinished, program); err != nil {
		return "", fmt.Errorf("build Helm %d: %w", major, err)
	}
	return program, nil
}
