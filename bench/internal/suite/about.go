package suite

import (
	"context"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"github.com/cupline/cupline/bench/internal/report"
	"github.com/cupline/cupline/local/packages"
)

func versions() ([]report.Version, error) {
	broker, err := packages.FindRabbitMQ()
	if err != nil {
		return nil, err
	}
	database, err := packages.FindPostgres()
	if err != nil {
		return nil, err
	}
	return []report.Version{
		{Name: "RabbitMQ", Version: broker.Version.String()}, {Name: "PostgreSQL", Version: strconv.Itoa(database.Major)},
		{Name: "Go", Version: strings.TrimPrefix(runtime.Version(), "go")},
	}, nil
}

// commit is the checkout's, with a "+" when tracked files differ; empty without git.
func commit(ctx context.Context, root string) string {
	git := func(arguments ...string) (string, error) {
		said, err := exec.CommandContext(ctx, "git", append([]string{"-C", root}, arguments...)...).Output()
		return strings.TrimSpace(string(said)), err
	}
	head, err := git("rev-parse", "--short", "HEAD")
	if err != nil {
		return ""
	}
	if changed, err := git("status", "--porcelain", "--untracked-files=no"); err != nil || changed != "" {
		head += "+"
	}
	return head
}
