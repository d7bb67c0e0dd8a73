package packages

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

//go:embed install.sh
var installScript string

const (
	// installLimit bounds a whole installation, downloads and waiting for other package managers included.
	installLimit = 30 * time.Minute
	// finishLimit bounds how long a cancelled installation may take to end: cutting dpkg short would leave the machine
	// with half-configured packages.
	finishLimit = 5 * time.Minute
)

// Ensure installs what is missing of needs, and does nothing where nothing is. What is done, and the package manager's
// own output, go to progress. Not being root, it asks sudo. A cancelled ctx lets dpkg finish what it has begun.
//
// Errors say what to install by hand: on a system that is not known, without root and sudo, or when the package
// manager failed; or that a program is there but too old.
func Ensure(ctx context.Context, progress io.Writer, needs ...Need) error {
	missing, err := Missing(needs...)
	if err != nil || len(missing) == 0 {
		return err
	}
	system, err := Recognise()
	if err != nil {
		return fmt.Errorf("%s is missing; %s (%w)", names(missing), byHand(missing), err)
	}
	shell, err := rootShell(system, os.Geteuid() == 0, exec.LookPath)
	if err != nil {
		return fmt.Errorf("%s is missing, and %w; %s", names(missing), err, byHand(missing))
	}
	// Progress that cannot be shown is no reason not to make any.
	_, _ = fmt.Fprintf(progress, "installing %s (no service is started, no database cluster made)\n", names(missing))
	if err := install(ctx, progress, shell, "", missing); err != nil {
		return fmt.Errorf("install %s: %w; %s", names(missing), err, byHand(missing))
	}
	left, err := Missing(missing...)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("install %s: apt-get succeeded, but %s cannot be found yet; %s",
			names(missing), names(left), byHand(left))
	}
	return nil
}

// rootShell is the command that runs the shell script in its next argument as root, or why there is none.
func rootShell(system System, root bool, find func(string) (string, error)) ([]string, error) {
	if !system.Supported() {
		return nil, fmt.Errorf("packages are installed automatically only on Debian 12 or 13 and Ubuntu 24.04 or later "+
			"(this is %s)", system.Name)
	}
	if _, err := find("apt-get"); err != nil {
		return nil, fmt.Errorf("there is no apt-get to install it with (%w)", err)
	}
	if root {
		return []string{"/bin/sh", "-c"}, nil
	}
	sudo, err := find("sudo")
	if err != nil {
		return nil, fmt.Errorf("installing it needs root or sudo (%w)", err)
	}
	return []string{sudo, "/bin/sh", "-c"}, nil
}

// install runs the script under its own time limit; the script puts back what it changed below root.
func install(ctx context.Context, progress io.Writer, shell []string, root string, missing []Need) error {
	ctx, cancel := context.WithTimeout(ctx, installLimit)
	defer cancel()
	var units []string
	for _, need := range missing {
		units = append(units, need.Services...)
	}
	script := fmt.Sprintf("ROOT='%s'\nUNITS='%s'\n%s", root, strings.Join(units, " "), installScript)
	arguments := slices.Concat(shell[1:], []string{script, "cupline-install"}, packagesOf(missing))
	cmd := exec.CommandContext(ctx, shell[0], arguments...)
	cmd.Stdout, cmd.Stderr = progress, progress
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = finishLimit
	// Whoever cancelled is told so, also when the script had ended before the signal reached it.
	return errors.Join(cmd.Run(), ctx.Err())
}

func packagesOf(needs []Need) []string {
	var all []string
	for _, need := range needs {
		all = append(all, need.Packages...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func names(needs []Need) string {
	var all []string
	for _, need := range needs {
		all = append(all, need.Name)
	}
	return strings.Join(all, ", ")
}

// byHand is what to do without us.
func byHand(needs []Need) string {
	return "install by hand (the names are Debian's): " + strings.Join(packagesOf(needs), " ")
}
