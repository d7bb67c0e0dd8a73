package console

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

//go:embed assets
var assets embed.FS

// Prefix is the path under which the handler wants to be served; both it and what is below belong to it.
const Prefix = "/console"

// Config of the console.
type Config struct {
	// PushURL is the pusher's address as browsers reach it, ws:// or wss://, without a path. Empty: the address that the
	// console itself is served at.
	PushURL string
}

// page is what the first word of a path below Prefix shows.
type page struct {
	// Name is that word, Title what the page is called, and Under the page whose entry leads to it, where it has none.
	Name, Title, Under string
	// module below assets that shows it.
	module string
}

// pages are those of the console's own router, in the order of the entries that lead to them.
func pages() []page {
	return []page{
		{Name: "now", Title: "Now", module: "js/pages/now.js"},
		{Name: "dead-letters", Title: "Dead letters", module: "js/pages/letters.js"},
		{Name: "commands", Title: "Commands", module: "js/pages/commands.js"},
		{Name: "devices", Title: "Devices", module: "js/pages/devices.js"},
		{Name: "audit", Title: "Audit", module: "js/pages/audit.js"},
		{Name: "jobs", Title: "Jobs", Under: "dead-letters", module: "js/pages/jobs.js"},
	}
}

// file is one asset as it is sent.
type file struct {
	kind          string
	plain, packed []byte
}

// Handler serves the console.
type Handler struct {
	files map[string]file
	// version names this set of files: it is part of their addresses, so that they are fetched once and never stale.
	version string
	policy  string
	// views are what the browser loads first, by the first word of the path; the empty one is for words that are none.
	views map[string]file
}

// New reads the embedded files. It fails where the push URL is none.
func New(cfg Config) (*Handler, error) {
	h := &Handler{files: map[string]file{}, views: map[string]file{}}
	if err := h.load(); err != nil {
		return nil, fmt.Errorf("load the console: %w", err)
	}
	connect, err := connectSource(cfg.PushURL)
	if err != nil {
		return nil, err
	}
	// No inline script or style, nothing from elsewhere, and no way from a string to markup or code.
	h.policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src " + connect +
		"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
	return h, h.render(cfg.PushURL)
}

// connectSource is what pages may connect to, in the words of the Content-Security-Policy.
func connectSource(push string) (string, error) {
	if push == "" {
		return "'self'", nil
	}
	u, err := url.Parse(push)
	if err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" || u.Scheme+"://"+u.Host != push || strings.ContainsAny(push, "; ,'*") {
		return "", fmt.Errorf("the push URL %q must be ws:// or wss:// with host and port, and no path", push)
	}
	return "'self' " + push, nil
}

// styles is the one style sheet that all of them make, in the order of their names: nothing is painted before each is there.
const styles = "console.css"

// load reads and packs the files, and finds their version.
func (h *Handler) load() error {
	sum := sha256.New()
	var sheet bytes.Buffer
	err := fs.WalkDir(assets, "assets", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := assets.ReadFile(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s %d\n", name, len(content))
		sum.Write(content)
		if path.Ext(name) == ".css" {
			sheet.Write(content)
			return nil
		}
		made, err := makeFile(name, content)
		h.files[strings.TrimPrefix(name, "assets/")] = made
		return err
	})
	if err != nil {
		return err
	}
	h.version = hex.EncodeToString(sum.Sum(nil))[:16]
	h.files[styles], err = makeFile(styles, sheet.Bytes())
	return err
}

func makeFile(name string, content []byte) (file, error) {
	kinds := map[string]string{
		".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
	}
	kind, known := kinds[path.Ext(name)]
	if !known {
		kind = "text/plain; charset=utf-8"
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return file{}, err
	}
	if _, err := w.Write(content); err != nil {
		return file{}, err
	}
	if err := w.Close(); err != nil {
		return file{}, err
	}
	return file{kind: kind, plain: content, packed: packed.Bytes()}, nil
}

// needs adds a module, and what it imports, to those that are there; what is loaded later, when it is asked for, is not part of it.
func (h *Handler) needs(module string, imported *regexp.Regexp, there []string) []string {
	if slices.Contains(there, module) {
		return there
	}
	there = append(there, module)
	for _, match := range imported.FindAllSubmatch(h.files[module].plain, -1) {
		there = h.needs(path.Join(path.Dir(module), string(match[1])), imported, there)
	}
	return there
}

// render fills in what each view begins with: a frame that is painted as it is, and the names of the modules that the view needs,
// so that they are fetched side by side.
func (h *Handler) render(push string) error {
	index, err := template.New("index").Parse(string(h.files["index.html"].plain))
	if err != nil {
		return fmt.Errorf("read the console's page: %w", err)
	}
	imported := regexp.MustCompile(`(?m)^(?:import|export) .*from '(\.[^']+)'`)
	entries := slices.DeleteFunc(pages(), func(p page) bool { return p.Under != "" })
	for _, p := range append(pages(), page{Title: "Not found", module: "js/main.js"}) {
		var filled bytes.Buffer
		err := index.Execute(&filled, map[string]any{
			"Assets": Prefix + "/assets/" + h.version, "Base": Prefix, "Push": push, "Styles": styles, "Title": p.Title,
			"Pages": entries, "Current": cmp.Or(p.Under, p.Name), "Modules": h.needs(p.module, imported, h.needs("js/main.js", imported, nil)),
		})
		if err != nil {
			return fmt.Errorf("fill the console's page: %w", err)
		}
		if h.views[p.Name], err = makeFile("index.html", filled.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// ServeHTTP implements http.Handler: the files at their addresses, and the one page at those of its views.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	rest := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, Prefix), "/")
	if name, is := strings.CutPrefix(rest, "assets/"+h.version+"/"); is {
		if asset, found := h.files[name]; found && name != "index.html" {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
			send(w, r, http.StatusOK, asset)
			return
		}
	}
	first, _, _ := strings.Cut(rest, "/")
	if first == "assets" { // of another release, most likely: the page that asks has to be loaded anew
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "not here", http.StatusNotFound)
		return
	}
	view, known := h.views[cmp.Or(first, pages()[0].Name)]
	status := http.StatusOK
	if !known {
		view, status = h.views[""], http.StatusNotFound
	}
	header := w.Header()
	header.Set("Cache-Control", "no-cache")
	header.Set("Content-Security-Policy", h.policy)
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Frame-Options", "DENY")
	send(w, r, status, view)
}

func send(w http.ResponseWriter, r *http.Request, status int, f file) {
	header, body := w.Header(), f.plain
	header.Set("Content-Type", f.kind)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Vary", "Accept-Encoding")
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		header.Set("Content-Encoding", "gzip")
		body = f.packed
	}
	header.Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(status)
	if r.Method == http.MethodGet {
		// Who no longer reads needs no answer.
		_, _ = w.Write(body)
	}
}
