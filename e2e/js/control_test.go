package js_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/cupline/cupline/local/services"
)

// control lets the tests that run in Node break the platform, and make keys as an operator would.
//
//	POST /kill/{service}    ends it at once, as a crash would
//	POST /start/{service}   starts it again, and answers when it is ready
//	POST /keys              with tenant, client and, if it is to end, expires-in: answers with a key
func control(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	handle := func(pattern string, act func(r *http.Request) ([]byte, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			answer, err := act(r)
			if err != nil {
				t.Errorf("%s: %v", r.URL, err)
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			if _, err := w.Write(answer); err != nil {
				t.Errorf("%s: %v", r.URL, err)
			}
		})
	}
	handle("POST /kill/{service}", func(r *http.Request) ([]byte, error) {
		name := r.PathValue("service")
		if name != services.Pusher && name != services.API {
			return nil, fmt.Errorf("there is no service %q to kill", name)
		}
		return nil, site.Kill(name)
	})
	handle("POST /start/{service}", func(r *http.Request) ([]byte, error) {
		return nil, start(r.Context(), r.PathValue("service"))
	})
	handle("POST /keys", func(r *http.Request) ([]byte, error) {
		args := []string{"keys", "create", "--database", "--output", "json",
			"--scope", "commands:send,replies:read,devices:read,devices:write,tenants:admin"}
		for _, name := range []string{"tenant", "client", "expires-in"} {
			if value := r.FormValue(name); value != "" {
				args = append(args, "--"+name, value)
			}
		}
		return site.CLI(r.Context(), args...)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}
