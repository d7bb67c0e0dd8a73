package console

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func handler(t *testing.T, push string) *Handler {
	t.Helper()
	h, err := New(Config{PushURL: push})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func get(h http.Handler, method, path string, header ...string) *http.Response {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	content, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// Nothing inline, nothing from elsewhere, no way from a string to markup: the browser is told so on every page.
func TestPolicy(t *testing.T) {
	t.Parallel()
	h := handler(t, "wss://push.example")
	for _, path := range []string{"/console", "/console/", "/console/dead-letters/list?text=x", "/console/devices/lamp-1"} {
		answer := get(h, "GET", path)
		policy := answer.Header.Get("Content-Security-Policy")
		if answer.StatusCode != 200 {
			t.Errorf("%s: %s", path, answer.Status)
		}
		for _, part := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "connect-src 'self' wss://push.example;",
			"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%s: the policy %q lacks %q", path, policy, part)
			}
		}
		if strings.Contains(policy, "unsafe") || answer.Header.Get("Referrer-Policy") != "no-referrer" || answer.Header.Get("X-Frame-Options") != "DENY" || answer.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, answer.Header)
		}
		page := body(t, answer)
		if !strings.Contains(page, `content="wss://push.example"`) {
			t.Errorf("%s does not name the pusher", path)
		}
		if regexp.MustCompile(`<script(>| type="module">)|<style|style=|\son\w+=`).MatchString(page) {
			t.Errorf("%s has something inline", path)
		}
	}
}

func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	h := handler(t, "")
	for path, status := range map[string]int{
		"/console/nothing": 404, "/console/assets/0000000000000000/js/main.js": 404, "/console/assets/" + h.version + "/index.html": 404,
		"/console/assets/" + h.version + "/../console.go": 404, "/console/assets": 404,
	} {
		if answer := get(h, "GET", path); answer.StatusCode != status {
			t.Errorf("%s: %s", path, answer.Status)
		}
	}
	if answer := get(h, "POST", "/console/"); answer.StatusCode != 405 || answer.Header.Get("Allow") == "" {
		t.Errorf("POST: %s", answer.Status)
	}
	if answer := get(h, "HEAD", "/console/"); answer.StatusCode != 200 || body(t, answer) != "" {
		t.Errorf("HEAD: %s", answer.Status)
	}
	for _, push := range []string{"http://push", "ws://", "ws://push/path", "ws://push; script-src *", "://", "wss://a b", "ws://*"} {
		if _, err := New(Config{PushURL: push}); err == nil {
			t.Errorf("the push URL %q was taken", push)
		}
	}
}

// Every file that the page names is there, and is kept by browsers for good; another release has other addresses.
func TestAssets(t *testing.T) {
	t.Parallel()
	h := handler(t, "")
	named := regexp.MustCompile(`(?:src|href)="([^"]+/assets/[^"]+)"`).FindAllStringSubmatch(body(t, get(h, "GET", "/console/")), -1)
	if len(named) < 20 {
		t.Errorf("the page names %d files", len(named))
	}
	for _, match := range named {
		plain, packed := get(h, "GET", match[1]), get(h, "GET", match[1], "Accept-Encoding", "br, gzip")
		if plain.StatusCode != 200 || !strings.Contains(plain.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %s %v", match[1], plain.Status, plain.Header)
		}
		unpacked, err := gzip.NewReader(packed.Body)
		if err != nil {
			t.Fatalf("%s: %v", match[1], err)
		}
		content, err := io.ReadAll(unpacked)
		if err != nil || string(content) != body(t, plain) || packed.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: packed is not the same: %v", match[1], err)
		}
	}
}

// What a page needs is named in it, so that nothing is found out one module after the other; and what other pages need is not.
func TestModulesOfAPage(t *testing.T) {
	t.Parallel()
	h := handler(t, "")
	preloaded := regexp.MustCompile(`rel="modulepreload" href="[^"]*/[0-9a-f]{16}/([^"]+)"`)
	for path, module := range map[string]string{
		"": "js/pages/now.js", "/now": "js/pages/now.js", "/dead-letters/list": "js/pages/letter-list.js", "/devices/lamp-1": "vendor/client/index.js",
		"/jobs": "js/pages/jobs.js", "/audit?x=y": "js/pages/audit.js", "/commands": "js/timeline.js", "/nothing": "js/main.js",
	} {
		page, named := body(t, get(h, "GET", "/console"+path)), map[string]bool{}
		for _, match := range preloaded.FindAllStringSubmatch(page, -1) {
			if named[match[1]] {
				t.Errorf("%s names %s twice", path, match[1])
			}
			named[match[1]] = true
		}
		if !named[module] || !named["js/dom.js"] || !named["js/shell.js"] {
			t.Errorf("%s does not name %s: %v", path, module, named)
		}
		if named["vendor/client/index.js"] != strings.HasPrefix(path, "/devices") {
			t.Errorf("%s names the client: %t", path, named["vendor/client/index.js"])
		}
		for name := range named {
			if _, found := h.files[name]; !found {
				t.Errorf("%s names %s, which is not there", path, name)
			}
		}
	}
}

// The frame is in the page itself, with its title and the entry that leads to it.
func TestFrame(t *testing.T) {
	t.Parallel()
	h := handler(t, "")
	for path, want := range map[string][]string{
		"/console": {"<title>Now · Cupline", "<h1>Now</h1>", `data-page="now" aria-current="page"`}, "/console/jobs": {"<h1>Jobs</h1>", `data-page="dead-letters" aria-current="page"`},
		"/console/nothing": {"<title>Not found · Cupline"},
	} {
		page := body(t, get(h, "GET", path))
		for _, part := range want {
			if !strings.Contains(page, part) {
				t.Errorf("%s has no %s", path, part)
			}
		}
		if n := strings.Count(page, "aria-current"); n != len(want)/2 {
			t.Errorf("%s has %d current entries", path, n)
		}
	}
}

// 150 KB is what the whole console may weigh, packed.
func TestWeight(t *testing.T) {
	t.Parallel()
	sum := 0
	for name, f := range handler(t, "").files {
		if !strings.HasSuffix(name, "LICENSE") {
			sum += len(f.packed)
		}
	}
	t.Logf("%d bytes packed", sum)
	if sum > 150_000 {
		t.Errorf("the console weighs %d bytes packed", sum)
	}
}

// What others made has its licence beside it, and goes with the files to whoever gets them.
func TestVendoredFilesHaveTheirLicences(t *testing.T) {
	t.Parallel()
	h := handler(t, "")
	vendored, err := assets.ReadDir("assets/vendor")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range vendored {
		name, _, _ := strings.Cut(entry.Name(), ".")
		if name == "client" { // our own
			continue
		}
		licence, found := h.files["vendor/"+name+".LICENSE"]
		if !found || !bytes.Contains(licence.plain, []byte("Copyright")) {
			t.Errorf("%s has no licence beside it", entry.Name())
		}
	}
}

// The client is the one of clients/js, byte for byte: `go generate ./console` copies it.
func TestClientIsTheOneOfThisRelease(t *testing.T) {
	t.Parallel()
	source := filepath.Join("..", "clients", "js", "src")
	files, err := filepath.Glob(filepath.Join(source, "*.js"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v %v", files, err)
	}
	copied, err := assets.ReadDir("assets/vendor/client")
	if err != nil || len(copied) != len(files) {
		t.Errorf("%d files in clients/js/src, %d here, %v: run go generate ./console", len(files), len(copied), err)
	}
	for _, name := range files {
		theirs, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := assets.ReadFile("assets/vendor/client/" + filepath.Base(name))
		if err != nil || !bytes.Equal(ours, theirs) {
			t.Errorf("%s differs, %v: run go generate ./console", filepath.Base(name), err)
		}
	}
}

// Our own modules ask nobody but the API, and turn no string into markup or code.
func TestModulesAreHarmless(t *testing.T) {
	t.Parallel()
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|https?://|\.cookie`)
	for name, f := range handler(t, "").files {
		if !strings.HasPrefix(name, "js/") {
			continue
		}
		for _, found := range forbidden.FindAllString(string(f.plain), -1) {
			if !strings.HasPrefix(found, "http") || !strings.Contains(string(f.plain), "http://www.w3.org/2000/svg") {
				t.Errorf("%s has %s", name, found)
			}
		}
		if lines := bytes.Count(f.plain, []byte("\n")); lines > 300 {
			t.Errorf("%s has %d lines", name, lines)
		}
	}
}

// Whoever reads the API's reference finds each of its filters in the console.
func TestFiltersAreTheAPIs(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join("..", "schema", "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	api := string(content)
	h := handler(t, "")
	for route, file := range map[string]string{"/v1/dead-letters": "js/letters.js", "/v1/audit": "js/pages/audit.js", "/v1/recent-commands": "js/pages/commands.js"} {
		_, operation, _ := strings.Cut(api, "\n  "+route+":\n")
		operation, _, found := strings.Cut(operation, "      responses:\n")
		if !found {
			t.Fatalf("the reference has no %s", route)
		}
		names := 0
		for _, match := range regexp.MustCompile(`(?m)^        - (?:\$ref: '#/components/parameters/(\w+)'|\{?name: (\w+))`).FindAllStringSubmatch(operation, -1) {
			name := match[2]
			if match[1] != "" {
				_, parameter, _ := strings.Cut(api, "\n    "+match[1]+":\n")
				name = regexp.MustCompile(`name: (\w+)`).FindStringSubmatch(parameter)[1]
			}
			names++
			// How much is answered, and from where on, is not a filter.
			if slices.Contains([]string{"limit", "after", "counts", "payloads", "sort"}, name) {
				continue
			}
			if !regexp.MustCompile(`name: '` + name + `'`).Match(h.files[file].plain) {
				t.Errorf("%s: the filter %s has no field", route, name)
			}
		}
		if names < 5 {
			t.Errorf("%s: %d parameters found", route, names)
		}
	}
}
