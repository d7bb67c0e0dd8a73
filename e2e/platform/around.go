package platform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// StartLimit bounds the start of a platform with its services: a busy machine builds the programs for minutes, and starts a broker in more
// than one.
const StartLimit = 10 * time.Minute

// Around is AroundWith on a plain platform.
func Around(tests interface{ Run() int }, limit time.Duration, prepare func(context.Context, *Platform) error) (code int) {
	return AroundWith(tests, limit, Extra{}, prepare)
}

// AroundWith starts a platform in a folder of its own, lets prepare start services on it within limit, runs the tests, and
// ends and removes everything. The code is the process's exit code; the services' logs are told when it is not 0.
func AroundWith(tests interface{ Run() int }, limit time.Duration, extra Extra, prepare func(context.Context, *Platform) error) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	folder, err := os.MkdirTemp("", "cupline-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	site, err := StartWith(ctx, folder, extra)
	if err == nil {
		err = prepare(ctx, site)
	}
	if err == nil {
		code = tests.Run()
	} else {
		fmt.Fprintln(os.Stderr, "start the platform:", err)
		code = 1
	}
	if code != 0 {
		site.Report(os.Stderr)
	}
	ending, done := context.WithTimeout(context.Background(), time.Minute)
	defer done()
	if err := errors.Join(site.Stop(ending), os.RemoveAll(folder)); err != nil {
		fmt.Fprintln(os.Stderr, "stop the platform:", err)
		code = max(code, 1)
	}
	return code
}
