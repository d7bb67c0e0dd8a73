package console

import (
	"bytes"
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

// pages are the first words of the paths that the console's own router shows.
func pages() []string {
	return []string{"", "now", "dead-letters", "jobs", "commands", "devices", "audit"}
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
	index   file
}

// New reads the embedded files. It fails where the push URL is none.
func New(cfg Config) (*Handler, error) {
	h := &Handler{files: map[string]file{}}
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

// render fills in the page that all views begin with.
func (h *Handler) render(push string) error {
	page, err := template.New("index").Parse(string(h.files["index.html"].plain))
	if err != nil {
		return fmt.Errorf("read the console's page: %w", err)
	}
	var modules []string
	for name := range h.files {
		if strings.HasPrefix(name, "js/") && strings.HasSuffix(name, ".js") && !strings.HasPrefix(name, "js/pages/") {
			modules = append(modules, name)
		}
	}
	slices.Sort(modules)
	var filled bytes.Buffer
	err = page.Execute(&filled, map[string]any{
		"Assets": Prefix + "/assets/" + h.version, "Base": Prefix, "Push": push, "Modules": modules, "Styles": styles,
	})
	if err != nil {
		return fmt.Errorf("fill the console's page: %w", err)
	}
	h.index, err = makeFile("index.html", filled.Bytes())
	return err
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
	status := http.StatusOK
	switch {
	case first == "assets": // of another release, most likely: the page that asks has to be loaded anew
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "not here", http.StatusNotFound)
		return
	case !slices.Contains(pages(), first):
		status = http.StatusNotFound
	}
	header := w.Header()
	header.Set("Cache-Control", "no-cache")
	header.Set("Content-Security-Policy", h.policy)
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Frame-Options", "DENY")
	send(w, r, status, h.index)
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
