package httpapi

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/schema/topology"
)

// answer writes v as JSON, with ids and addresses as the bytes they are kept in.
func answer(c echo.Context, status int, v any) error {
	body, err := marshal(v)
	if err != nil {
		return err
	}
	return c.Blob(status, jsonType, body)
}

// param is a path parameter, decoded. What cannot be decoded names nothing.
func param(c echo.Context, name string) string {
	value, err := url.PathUnescape(c.Param(name))
	if err != nil {
		return ""
	}
	return value
}

// Limits of a page of a list.
const (
	defaultPage = 100
	maxPage     = 1000
)

// page reads where a page starts and how long it may be.
func page(c echo.Context) (after string, limit int, err error) {
	after = c.QueryParam("after")
	if after != "" && !topology.ValidID(after) {
		return "", 0, problem.New(problem.InvalidParameter, "must be what next of the page before said").At("after")
	}
	limit, err = limitParam(c, defaultPage, maxPage)
	return after, limit, err
}

func limitParam(c echo.Context, usual, most int) (int, error) {
	text := c.QueryParam("limit")
	if text == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, problem.New(problem.InvalidParameter, "must be 1 to %d", most).At("limit")
	}
	return n, nil
}

// answerPage writes one page; a full one says where the next begins.
func answerPage[T any](c echo.Context, name string, rows []T, limit int, id func(T) string) error {
	if rows == nil {
		rows = []T{}
	}
	told := map[string]any{name: rows}
	if len(rows) == limit {
		told["next"] = id(rows[len(rows)-1])
	}
	return answer(c, http.StatusOK, told)
}
