// Package js_test runs the JavaScript client's own tests, and those that need the whole platform, which it starts and
// breaks for them.
package js_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/jwttest"
	"github.com/cupline/cupline/e2e/platform"
	"github.com/cupline/cupline/local/ports"
	"github.com/cupline/cupline/local/services"
)

// Tests that need a browser have a part of their names in common. CUPLINE_TEST_BROWSER says which of them to run, and that no
// others are: `make browser` and `make screenshots` set it. Without it all others run.
const (
	inBrowser  = "InChromium|Screenshots"
	browserEnv = "CUPLINE_TEST_BROWSER"
)

// site is the one installation that all tests share, page the address from which web pages may reach it, and issuer whose tokens
// api and pusher take from the next start on, if anyone's.
var (
	site   *platform.Platform
	page   string
	issuer *jwttest.Issuer
)

// audience is whom the issuer's tokens are for.
const audience = "cupline"

// startLimit bounds the start of the platform, whose programs a busy machine builds for minutes.
const startLimit = 10 * time.Minute

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // all of it needs processes
	}
	which, names := "test.skip", inBrowser
	if chosen := os.Getenv(browserEnv); chosen != "" {
		which, names = "test.run", chosen
	}
	if err := flag.Set(which, names); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	if err := ensureNode(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "the JavaScript client's tests need Node and npm:", err)
		return 1
	}
	reserved, err := ports.Reserve(0)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = reserved.Release() }()
	page = ports.Address(reserved.Ports[0])
	return platform.Around(m, startLimit, func(ctx context.Context, p *platform.Platform) error {
		site = p
		return startServices(ctx)
	})
}

func startServices(ctx context.Context) error {
	for _, name := range []string{services.API, services.Dispatcher, services.Pusher} {
		if err := start(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// start runs a service under its program's name.
func start(ctx context.Context, name string) error {
	api, err := site.Address(services.API)
	if err != nil {
		return err
	}
	pusher, err := site.Address(services.Pusher)
	if err != nil {
		return err
	}
	env := map[string]map[string]string{
		services.API: {
			"CUPLINE_CORS_ORIGINS": "http://" + page, "CUPLINE_CONSOLE_PUSH_URL": "ws://" + pusher,
			"RABBITMQ_MANAGEMENT_URL": site.Broker.ManagementURL(),
		},
		services.Dispatcher: {
			"CUPLINE_HTTP_ALLOWED_NETWORKS": "127.0.0.0/8", // the tests' devices
			"CUPLINE_TENANT_LIMIT":          "10000",       // a test's commands are not to make room for those of the one before
		},
		services.Pusher: {"CUPLINE_ORIGINS": "http://" + page + ",http://" + api, "CUPLINE_SLOT": "pusher-0", "CUPLINE_PING": "2s"}, // a stalled line is noticed soon
	}[name]
	if env == nil {
		return fmt.Errorf("there is no service %q", name)
	}
	if issuer != nil && name != services.Dispatcher {
		env["CUPLINE_JWT_JWKS_URL"], env["CUPLINE_JWT_ISSUER"] = issuer.JWKS(), issuer.URL()
		env["CUPLINE_JWT_AUDIENCE"], env["CUPLINE_JWT_LEEWAY"] = audience, "1s"
	}
	if _, err := site.Run(ctx, name, name, env); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
