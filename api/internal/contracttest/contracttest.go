// Package contracttest holds what the API takes and answers in tests to schema/openapi.yaml.
package contracttest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// Contract is the OpenAPI document, checked.
type Contract struct {
	Doc    *openapi3.T
	router routers.Router
}

// Load reads the document of this checkout.
func Load(t testing.TB) *Contract {
	t.Helper()
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromFile(SchemaPath("openapi.yaml"))
	if err != nil {
		t.Fatalf("read openapi.yaml: %v", err)
	}
	if err := doc.Validate(context.Background(), openapi3.EnableExamplesValidation()); err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
	return &Contract{Doc: doc, router: router}
}

// SchemaPath is the path of a file in the room schema, wherever the test runs.
func SchemaPath(name string) string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "..", "..", "..", "schema", name)
}

// Transport makes requests through base, and fails the test where the document does not
// allow the answer, or where a request was done that the document does not allow.
func (c *Contract) Transport(t testing.TB, base http.RoundTripper) http.RoundTripper {
	return &transport{contract: c, t: t, base: base}
}

type transport struct {
	contract *Contract
	t        testing.TB
	base     http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (tr *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	var sent []byte
	if r.Body != nil {
		var err error
		if sent, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	answer, err := tr.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	_ = answer.Body.Close()
	answer.Body = io.NopCloser(bytes.NewReader(got))
	if err := tr.contract.check(r, sent, answer, got); err != nil {
		tr.t.Errorf("%s %s answered %d, against openapi.yaml: %v\nsent %.300s\ngot %.600s", r.Method, r.URL, answer.StatusCode, err, sent, got)
	}
	return answer, nil
}

func (c *Contract) check(r *http.Request, sent []byte, answer *http.Response, got []byte) error {
	if r.Method == http.MethodOptions {
		return nil
	}
	request := r.Clone(r.Context())
	request.Body = io.NopCloser(bytes.NewReader(sent))
	request.URL.Scheme, request.URL.Host = "", "" // the document's server is "/"
	route, params, err := c.router.FindRoute(request)
	if err != nil {
		// No such route or method: 404 and 405 are not in the document, but the problem's shape is.
		if answer.StatusCode == http.StatusNotFound || answer.StatusCode == http.StatusMethodNotAllowed {
			return c.checkProblem(answer, got)
		}
		return err
	}
	asked := &openapi3filter.RequestValidationInput{
		Request: request, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
	}
	if answer.StatusCode < http.StatusMultipleChoices {
		if err := openapi3filter.ValidateRequest(r.Context(), asked); err != nil {
			return fmt.Errorf("the request: %w", err)
		}
	}
	return openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: asked, Status: answer.StatusCode, Header: answer.Header, Body: io.NopCloser(bytes.NewReader(got)), Options: asked.Options,
	})
}

func (c *Contract) checkProblem(answer *http.Response, got []byte) error {
	if kind := answer.Header.Get("Content-Type"); kind != "application/problem+json" {
		return fmt.Errorf("content type %q", kind)
	}
	schema := c.Doc.Components.Schemas["Problem"].Value
	var value any
	if err := json.Unmarshal(got, &value); err != nil {
		return err
	}
	return schema.VisitJSON(value)
}
