package js_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/cupline/cupline/local/services"
)

// control lets the tests that run in Node break the platform, and make keys as an operator would.
//
//	POST /kill/{service}    ends it at once, as a crash would; broker and database are services, too
//	POST /start/{service}   starts it again, and answers when it is ready
//	POST /keys              with tenant, client and, if wanted, scope and expires-in: answers with a key
//	POST /tokens            with tenant, client, scope and expires-in: answers with a JSON Web Token of the issuer, if there is one
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
		switch name := r.PathValue("service"); name {
		case services.Pusher, services.API, services.Dispatcher:
			return nil, site.Kill(name)
		case "database":
			return nil, site.Database.Kill()
		case "broker":
			return nil, site.Broker.Kill()
		default:
			return nil, fmt.Errorf("there is no service %q to kill", name)
		}
	})
	handle("POST /start/{service}", func(r *http.Request) ([]byte, error) {
		switch name := r.PathValue("service"); name {
		case "database":
			return nil, site.Database.Start(r.Context())
		case "broker":
			return nil, site.Broker.Start(r.Context())
		default:
			return nil, start(r.Context(), name)
		}
	})
	handle("POST /keys", func(r *http.Request) ([]byte, error) {
		args := []string{"keys", "create", "--database", "--output", "json"}
		if r.FormValue("scope") == "" {
			args = append(args, "--scope", "commands:send,replies:read,devices:read,devices:write,tenants:admin")
		}
		for _, name := range []string{"tenant", "client", "expires-in", "scope"} {
			if value := r.FormValue(name); value != "" {
				args = append(args, "--"+name, value)
			}
		}
		return site.CLI(r.Context(), args...)
	})
	handle("POST /tokens", func(r *http.Request) ([]byte, error) { return token(t, r) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// token signs a token as the form of the request wants it.
func token(t *testing.T, r *http.Request) ([]byte, error) {
	if issuer == nil {
		return nil, errors.New("this test has no issuer of tokens")
	}
	life, err := time.ParseDuration(r.FormValue("expires-in"))
	if err != nil {
		return nil, err
	}
	claims := issuer.Claims(audience)
	claims["tenant"], claims["sub"], claims["scope"] = r.FormValue("tenant"), r.FormValue("client"), r.FormValue("scope")
	claims["exp"] = time.Now().Add(life).Unix()
	return json.Marshal(map[string]string{"token": issuer.Sign(t, "ec", claims)})
}
