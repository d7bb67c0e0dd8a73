package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/cupline/cupline/api/internal/intake"
	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/schema/jsonrpc"
)

// The longest bodies, in bytes, by what they hold.
const (
	maxCommands = intake.MaxBody
	maxDevice   = 32 << 10
	maxType     = 1 << 20
	maxSmall    = 16 << 10
	maxRedrive  = intake.MaxBody + maxSmall
)

const jsonType = "application/json"

// read returns the whole body, once, as the bytes that came.
func read(c echo.Context, limit int64) ([]byte, error) {
	r := c.Request()
	if err := checkMediaType(r.Header); err != nil {
		return nil, err
	}
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	if n := r.ContentLength; n >= 0 {
		body := make([]byte, n)
		if _, err := io.ReadFull(r.Body, body); err != nil {
			return nil, unread(err)
		}
		return body, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, limit))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, tooLarge(limit)
	case err != nil:
		return nil, unread(err)
	}
	return body, nil
}

func tooLarge(limit int64) error {
	return problem.New(problem.TooLarge, "at most %d bytes", limit)
}

func unread(err error) error {
	p := problem.New(problem.InvalidRequest, "the body ended early, or took too long to arrive")
	p.Cause = err
	return p
}

func checkMediaType(h http.Header) error {
	if encoding := h.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return problem.New(problem.UnsupportedMediaType, "the body must have no content encoding")
	}
	said := h.Get("Content-Type")
	if said == jsonType {
		return nil
	}
	kind, parameters, err := mime.ParseMediaType(said)
	if charset, has := parameters["charset"]; err != nil || kind != jsonType || has && !strings.EqualFold(charset, "utf-8") {
		return problem.New(problem.UnsupportedMediaType, "Content-Type has to be application/json, and JSON is UTF-8")
	}
	return nil
}

// readInto decodes a body that holds one JSON object. Members that into does not have are refused.
func readInto(c echo.Context, limit int64, into any) error {
	body, err := read(c, limit)
	if err != nil {
		return err
	}
	var syntax *jsonrpc.SyntaxError
	if err := jsonrpc.CheckJSON(body); errors.As(err, &syntax) {
		p := problem.New(problem.Malformed, "%s", syntax.Error())
		p.Offset = syntax.Offset
		return p
	}
	if !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) {
		return problem.New(problem.InvalidRequest, "must be a JSON object").At("request")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	err = decoder.Decode(into)
	var mistyped *json.UnmarshalTypeError
	switch {
	case errors.As(err, &mistyped):
		return problem.New(problem.InvalidRequest, "must not be a JSON %s", mistyped.Value).At(mistyped.Field)
	case err != nil:
		return problem.New(problem.InvalidRequest, "%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}
