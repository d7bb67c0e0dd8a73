package cupline_test

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/clients/go/cuplinetest"
)

func TestSendPostsTheRequestAndReadsThe202(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	var body, ttl, path, auth string
	p.Handle(cuplinetest.Commands, func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		body, ttl, path, auth = string(raw), r.Header.Get("Cupline-TTL"), r.URL.Path, r.Header.Get("Authorization")
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write([]byte(`{"id":"c-42","command_id":"cmd-1","expires_at":"2030-01-01T00:00:00Z"}`))
	})
	accepted, err := newClient(t, p).Send(t.Context(), "lamp-1", "relay.set", map[string]string{"on": "<&>"},
		cupline.SendOptions{ID: "c-42", TTL: 90 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if body != `{"jsonrpc":"2.0","id":"c-42","method":"relay.set","params":{"on":"<&>"}}` || ttl != "1m30s" ||
		path != "/v1/devices/lamp-1/commands" || auth != "Bearer k" {
		t.Errorf("posted %s with TTL %q and %q to %s", body, ttl, auth, path)
	}
	if string(accepted.ID) != `"c-42"` || accepted.CommandID != "cmd-1" || accepted.ExpiresAt.Year() != 2030 {
		t.Errorf("accepted is %+v", accepted)
	}
}

func TestSendMakesIDsAndLeavesThemOutForOneWay(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	var ids []string
	p.Handle(cuplinetest.Commands, func(w http.ResponseWriter, r *http.Request) {
		var request map[string]json.RawMessage
		raw, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(raw, &request)
		ids = append(ids, string(request["id"]))
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write([]byte(`{"id":null,"command_id":"cmd-1","expires_at":"2030-01-01T00:00:00Z"}`))
	})
	c := newClient(t, p)
	for _, opts := range []cupline.SendOptions{{}, {}, {OneWay: true}} {
		if _, err := c.Send(t.Context(), "lamp-1", "echo", nil, opts); err != nil {
			t.Fatal(err)
		}
	}
	if len(ids[0]) != 38 || ids[0] == ids[1] || ids[2] != "" {
		t.Errorf("ids are %q", ids)
	}
}

func TestAnswersAreRefusalsOrDoubts(t *testing.T) {
	t.Parallel()
	const said, unsaid = "application/problem+json", "text/html"
	for _, c := range []struct {
		status  int
		kind    string
		inDoubt bool
	}{
		{400, said, false}, {401, said, false}, {403, said, false}, {404, said, false}, {413, said, false},
		{415, said, false}, {422, said, false}, {429, said, false}, {503, said, false},
		{504, said, true}, {500, said, true},
		// Something in between answered: only its blame of the request is a refusal.
		{400, unsaid, false}, {404, unsaid, false}, {502, unsaid, true}, {503, unsaid, true}, {504, unsaid, true},
		{307, unsaid, true},
	} {
		p := cuplinetest.New(t)
		p.Handle(cuplinetest.Commands, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", c.kind)
			w.Header().Set("Retry-After", "7")
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(`{"title":"T","detail":"D","code":"u","id":"c-42"}`))
		})
		_, err := newClient(t, p).Send(t.Context(), "lamp-1", "echo", nil, cupline.SendOptions{})
		var problem *cupline.Problem
		if !errors.As(err, &problem) || problem.Status != c.status || problem.RetryAfter != 7*time.Second {
			t.Errorf("%d %s reads as %v", c.status, c.kind, err)
			continue
		}
		if errors.Is(err, cupline.ErrInDoubt) != c.inDoubt || errors.Is(err, cupline.ErrRefused) == c.inDoubt {
			t.Errorf("%d %s: in doubt is %t", c.status, c.kind, !c.inDoubt)
		}
		if c.kind == said && (problem.Detail != "D" || string(problem.ID) != `"c-42"` || problem.Code != "u") {
			t.Errorf("%d: the problem reads as %+v", c.status, problem)
		}
	}
}

func TestLostLinkIsADoubtOnceTheRequestWasSent(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	p.Handle(cuplinetest.Commands, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	_, err := newClient(t, p).Send(t.Context(), "lamp-1", "echo", nil, cupline.SendOptions{})
	if !errors.Is(err, cupline.ErrInDoubt) || errors.Is(err, cupline.ErrRefused) {
		t.Errorf("a link cut after the request reads as %v", err)
	}
	p = cuplinetest.New(t)
	p.Handle(cuplinetest.Commands, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write([]byte(`{"id":`))
	})
	_, err = newClient(t, p).Send(t.Context(), "lamp-1", "echo", nil, cupline.SendOptions{})
	if !errors.Is(err, cupline.ErrInDoubt) {
		t.Errorf("half a 202 reads as %v", err)
	}
}

func TestSilentServerIsADoubtInTime(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	gone := make(chan struct{})
	p.Handle(cuplinetest.Commands, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		<-r.Context().Done()
		close(gone)
	})
	c, err := cupline.New(cupline.Config{URL: p.URL(), Key: "k", Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseIdle()
	_, err = c.Send(t.Context(), "lamp-1", "echo", nil, cupline.SendOptions{})
	if !errors.Is(err, cupline.ErrInDoubt) || !strings.Contains(err.Error(), "no answer within 50ms") {
		t.Errorf("a server that never answers reads as %v", err)
	}
	receive(t, "the end of the request", gone)
}

func TestUnreachablePlatformIsARefusal(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	c, err := cupline.New(cupline.Config{URL: "http://" + address, Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Send(t.Context(), "lamp-1", "echo", nil, cupline.SendOptions{})
	if !errors.Is(err, cupline.ErrRefused) || !errors.Is(err, cupline.ErrUnreachable) || errors.Is(err, cupline.ErrInDoubt) {
		t.Errorf("a platform that is not there reads as %v", err)
	}
}

func TestMistakesAreRefusedBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	p.Handle(cuplinetest.Commands, func(http.ResponseWriter, *http.Request) { t.Error("something was posted") })
	c := newClient(t, p)
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, cupline.ErrRefused) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := c.Send(t.Context(), "../keys", "echo", nil, cupline.SendOptions{})
	refused("a device that is a path", err)
	_, err = c.Send(t.Context(), "lamp-1", "echo", "a string", cupline.SendOptions{})
	refused("params that are a string", err)
	_, err = c.Send(t.Context(), "lamp-1", "echo", func() {}, cupline.SendOptions{})
	refused("params that are no JSON", err)
	_, err = c.Send(t.Context(), "lamp-1", "", nil, cupline.SendOptions{})
	refused("no method", err)
	_, err = c.Send(t.Context(), "lamp-1", "echo", nil, cupline.SendOptions{ID: strings.Repeat("x", 129)})
	refused("an id too long", err)
	_, err = c.Send(t.Context(), "lamp-1", "echo", nil, cupline.SendOptions{ID: "a", OneWay: true})
	refused("a one-way command with an id", err)
	_, err = c.SendRaw(t.Context(), "lamp-1", []byte(`[]`), 0)
	refused("a batch as a single request", err)
}

func TestNewReportsEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := cupline.New(cupline.Config{URL: "ftp://x", PushURL: "://", Timeout: -1})
	for _, word := range []string{"URL", "PushURL", "Key", "Timeout"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not speak of %s", err, word)
		}
	}
	if _, err := cupline.New(cupline.Config{Key: "k"}); err == nil {
		t.Error("a client without any URL was made")
	}
}
