package js_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/jwttest"
	"github.com/cupline/cupline/local/services"
)

// limit bounds each command; 10,000 outcomes on a busy machine are the longest.
const limit = 10 * time.Minute

// oldest is the first version of Node that the client supports.
const oldest = 20

// newer is what is installed where the system's Node is older than that.
const newer = "node@22"

// checkNode says what is missing, or too old.
func checkNode(ctx context.Context) error {
	if _, err := exec.LookPath("npm"); err != nil {
		return err
	}
	printed, err := exec.CommandContext(ctx, "node", "--version").Output()
	if err != nil {
		return fmt.Errorf("node --version: %w", err)
	}
	version := strings.TrimSpace(string(printed))
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < oldest {
		return fmt.Errorf("node is %s: version %d or later is needed", version, oldest)
	}
	return nil
}

// ensureNode puts a Node that is new enough in front of the PATH where the system's own is
// not: Debian 12 has version 18. The registry's package `node` brings the program itself; it
// is installed once, below the checkout's .bin.
func ensureNode(ctx context.Context) error {
	tooOld := checkNode(ctx)
	if tooOld == nil {
		return nil
	}
	root, err := services.Root()
	if err != nil {
		return err
	}
	folder := filepath.Join(root, ".bin", "node")
	program := filepath.Join(folder, "node_modules", "node", "bin")
	if _, err := os.Stat(filepath.Join(program, "node")); err != nil {
		fetch := exec.CommandContext(ctx, "npm", "install", "--prefix", folder, "--no-fund", "--no-audit", newer)
		if said, err := fetch.CombinedOutput(); err != nil {
			return errors.Join(tooOld, fmt.Errorf("npm install %s: %w\n%s", newer, err, said))
		}
	}
	if err := os.Setenv("PATH", program+string(os.PathListSeparator)+os.Getenv("PATH")); err != nil {
		return err
	}
	return checkNode(ctx)
}

// install runs `npm ci` once for all tests, and returns the client's folder.
var install = sync.OnceValues(func() (string, error) { return installIn("clients", "js") })

// installConsole is install for the tests of the console.
var installConsole = sync.OnceValues(func() (string, error) { return installIn("console") })

func installIn(path ...string) (string, error) {
	root, err := services.Root()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(append([]string{root}, path...)...)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	ci := exec.CommandContext(ctx, "npm", "ci", "--no-fund", "--no-audit")
	ci.Dir = folder
	if said, err := ci.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci in %s: %w\n%s", folder, err, said)
	}
	return folder, nil
}

// script runs one of a package's scripts, and shows what it says.
func script(t *testing.T, install func() (string, error), name string, env ...string) {
	t.Helper()
	folder, err := install()
	if err != nil {
		t.Fatal(err)
	}
	command(t, folder, env, "npm", "run", "--silent", name)
}

// command runs a program to its end and returns what it prints.
func command(t *testing.T, folder string, env []string, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = folder, append(os.Environ(), env...)
	said, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), errors.Join(err, ctx.Err()), said)
	}
	t.Logf("%s", said)
	return said
}

// addresses tells Node where the platform is, and who breaks it.
func addresses(t *testing.T) []string {
	t.Helper()
	return []string{
		"CUPLINE_API_URL=http://" + site.Service(services.API).Public,
		"CUPLINE_PUSH_URL=ws://" + site.Service(services.Pusher).Public,
		"CUPLINE_TEST_CONTROL=" + control(t),
		"CUPLINE_TEST_PAGE=" + page,
		"CUPLINE_TEST_MANAGEMENT=" + site.Broker.ManagementURL(),
	}
}

// TestPackInstallsAndRuns packs the package, installs it in a fresh project, and runs README's first program there.
func TestPackInstallsAndRuns(t *testing.T) {
	folder, err := install()
	if err != nil {
		t.Fatal(err)
	}
	project := t.TempDir()
	command(t, folder, nil, "npm", "pack", "--pack-destination", project)
	packed, err := filepath.Glob(filepath.Join(project, "*.tgz"))
	if err != nil || len(packed) != 1 {
		t.Fatalf("npm pack made %v: %v", packed, err)
	}
	readme, err := os.ReadFile(filepath.Join(folder, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, program, _ := strings.Cut(string(readme), "## A first program\n\n```js\n")
	program, _, found := strings.Cut(program, "```")
	if !found {
		t.Fatal("README has no first program")
	}
	for name, content := range map[string]string{"first.mjs": program, "package.json": `{"private":true,"type":"module"}`} {
		if err := os.WriteFile(filepath.Join(project, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command(t, project, nil, "npm", "install", "--offline", packed[0], filepath.Join(folder, "node_modules", "ws"))
	if _, err := os.Stat(filepath.Join(project, "node_modules", "@cupline", "client", "types", "index.d.ts")); err != nil {
		t.Errorf("the package has no types: %v", err)
	}
	// A program in TypeScript gets the package's types, strictly checked.
	typed := map[string]string{
		"typed.ts": `import { connect, DeviceError, resultOf, type Status } from '@cupline/client'
const client = connect({ url: 'https://api.example', pushUrl: 'wss://push.example', token: async () => ({ token: 't', expiresAt: new Date() }) })
client.on('state', (status: Status, previous) => { const names: string[] = [status.state, previous]; console.log(names) })
client.on('outcome', async (outcome) => { console.log(outcome.device.length, outcome.redrive + 1) })
client.on('lag', ({ on, waiting }) => { console.log(on ? waiting : 0) })
try {
  const result: unknown = resultOf(await client.send('lamp-1', 'relay.set', { on: true }, { ttl: '30s', signal: AbortSignal.timeout(1) }))
  console.log(result)
} catch (error) {
  if (error instanceof DeviceError) console.log(error.code)
}
// @ts-expect-error there is no such event
client.on('outcom', () => {})
`,
		"tsconfig.json": `{"compilerOptions": {"strict": true, "noEmit": true, "module": "nodenext", "target": "es2023", "lib": ["es2023", "dom"], "types": []}, "files": ["typed.ts"]}`,
	}
	for name, content := range typed {
		if err := os.WriteFile(filepath.Join(project, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command(t, project, nil, filepath.Join(folder, "node_modules", ".bin", "tsc"), "-p", ".")
	// No agent runs here, so that the honest outcome is that the device is offline.
	prepare := `const put = (path, body) => fetch(process.env.CUPLINE_API_URL + '/v1/' + path, { method: 'PUT', body: JSON.stringify(body),
  headers: { Authorization: 'Bearer ' + process.env.CUPLINE_KEY, 'Content-Type': 'application/json' } });
const key = await (await fetch(process.env.CUPLINE_TEST_CONTROL + '/keys', { method: 'POST', body: new URLSearchParams({ tenant: 'pack', client: 'me' }) })).json();
process.env.CUPLINE_KEY = key.token;
await put('device-types/t', { lane: 'default', driver: 'mqtt' });
await put('devices/host', { type: 't' });
await import('./first.mjs').then(() => { throw new Error('nobody is there to answer') }, (error) => console.log(error.name, error.reason, error.executed));
process.exit();`
	if err := os.WriteFile(filepath.Join(project, "run.mjs"), []byte(prepare), 0o600); err != nil {
		t.Fatal(err)
	}
	said := command(t, project, addresses(t), "node", "run.mjs")
	if !strings.Contains(string(said), "PlatformError device_offline no") {
		t.Errorf("the first program said: %s", said)
	}
}

// TestUnits runs the tests with a scripted peer, the types and the golden frames.
func TestUnits(t *testing.T) { script(t, install, "test") }

// TestOnThePlatform runs the tests against real services.
func TestOnThePlatform(t *testing.T) { script(t, install, "test:platform", addresses(t)...) }

// TestDashboardInChromium runs the tests in a real browser.
func TestDashboardInChromium(t *testing.T) { script(t, install, "test:browser", addresses(t)...) }

// TestConsoleInChromium runs the console's tests in a real browser, on a platform that takes an issuer's tokens, too.
func TestConsoleInChromium(t *testing.T) {
	issuer = jwttest.New(t)
	for _, name := range []string{services.API, services.Pusher} {
		if err := errors.Join(site.Kill(name), start(t.Context(), name)); err != nil {
			t.Fatal(err)
		}
	}
	script(t, installConsole, "test", addresses(t)...)
}

// TestScreenshots takes the pictures of the console and of the dashboard that README and docs show: `make screenshots`.
func TestScreenshots(t *testing.T) { script(t, installConsole, "screenshots", addresses(t)...) }
