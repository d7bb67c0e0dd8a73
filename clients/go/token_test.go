package cupline_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/clients/go/cuplinetest"
	"github.com/cupline/cupline/schema/push"
)

func tokenClient(t testing.TB, p *cuplinetest.Platform, source cupline.TokenSource) *cupline.Client {
	t.Helper()
	c, err := cupline.New(cupline.Config{URL: p.URL(), PushURL: p.URL(), Token: source, Timeout: cuplinetest.Patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return c
}

// counted fetches t1, t2, ... that are good for that long; 0: nobody knows.
func counted(fetches *atomic.Int64, life time.Duration) cupline.TokenSource {
	return func(context.Context) (cupline.Token, error) {
		token := cupline.Token{Value: fmt.Sprint("t", fetches.Add(1))}
		if life > 0 {
			token.Expires = time.Now().Add(life)
		}
		return token, nil
	}
}

func TestTokenIsFetchedOnceForAllWhoAsk(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	var fetches atomic.Int64
	asked, release := make(chan struct{}, 10), make(chan struct{})
	c := tokenClient(t, p, func(ctx context.Context) (cupline.Token, error) {
		asked <- struct{}{}
		<-release
		return counted(&fetches, time.Hour)(ctx)
	})
	var senders sync.WaitGroup
	for range 8 {
		senders.Go(func() {
			if _, err := c.Send(context.Background(), "lamp-1", "echo", nil, cupline.SendOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	receive(t, "the fetch", asked)
	close(release)
	senders.Wait()
	if n := fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

// What was refused for its token is sent once more, with another one; and never a third time.
func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	var fetches, posts atomic.Int64
	good := "Bearer t2"
	p.Handle(cuplinetest.Commands, func(w http.ResponseWriter, r *http.Request) {
		posts.Add(1)
		if r.Header.Get("Authorization") != good {
			cuplinetest.Problem(http.StatusUnauthorized, "unauthorized", "the key has expired")(w, r)
			return
		}
		cuplinetest.Accept("cmd-1")(w, r)
	})
	c := tokenClient(t, p, counted(&fetches, 0))
	if _, err := c.Send(t.Context(), "lamp-1", "echo", nil, cupline.SendOptions{}); err != nil || posts.Load() != 2 {
		t.Errorf("%d posts: %v", posts.Load(), err)
	}
	good = "Bearer none"
	if _, err := c.Send(t.Context(), "lamp-1", "echo", nil, cupline.SendOptions{}); !errors.Is(err, cupline.ErrUnauthorized) || posts.Load() != 4 {
		t.Errorf("%d posts: %v", posts.Load(), err)
	}
}

func TestTokenIsHandedOverBeforeItEnds(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	var fetches atomic.Int64
	l, err := tokenClient(t, p, counted(&fetches, 3*time.Second)).Listen(cupline.ListenConfig{Handle: func(context.Context, cupline.Outcome) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	socket := p.Next()
	socket.Greet("s1")
	if socket.Authorization != "Bearer t1" {
		t.Errorf("connected with %q", socket.Authorization)
	}
	for _, want := range []string{"t2", "t3"} {
		if f := socket.Read(); f.Type != push.TypeAuth || f.Token != want {
			t.Errorf("%+v, want %s", f, want)
		}
	}
}

// A token that ended all the same ends its connection; the next one has a new token. One that cannot be had is tried again.
func TestNextConnectionHasANewToken(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	var fetches atomic.Int64
	source := counted(&fetches, 0)
	l, err := tokenClient(t, p, func(ctx context.Context) (cupline.Token, error) {
		token, err := source(ctx)
		if token.Value == "t2" {
			err = errors.New("no service of tokens")
		}
		return token, err
	}).Listen(cupline.ListenConfig{MinWait: time.Millisecond, MaxWait: 5 * time.Millisecond, Handle: func(context.Context, cupline.Outcome) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	socket := p.Next()
	socket.Greet("s1")
	socket.Close(push.TokenExpired)
	if next := p.Next(); next.Authorization != "Bearer t3" {
		t.Errorf("connected with %q", next.Authorization)
	}
}

// A token that looks good by a clock that is behind is replaced; a fresh one that is refused ends the listener.
func TestTokenThatEndedByThePlatformsClock(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	var fetches atomic.Int64
	l, err := tokenClient(t, p, counted(&fetches, time.Hour)).Listen(cupline.ListenConfig{
		MinWait: time.Millisecond, MaxWait: 5 * time.Millisecond, Handle: func(context.Context, cupline.Outcome) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	for i, ends := range []push.CloseCode{push.TokenExpired, push.Internal, push.BadToken, push.BadToken} {
		socket := p.Next()
		if want := []string{"Bearer t1", "Bearer t2", "Bearer t2", "Bearer t3"}[i]; socket.Authorization != want {
			t.Errorf("connection %d came with %q, want %q", i+1, socket.Authorization, want)
		}
		socket.Greet("s1")
		socket.Close(ends)
	}
	receive(t, "the end", l.Done())
	var closed *cupline.CloseError
	if !errors.As(l.Err(), &closed) || closed.Code != push.BadToken {
		t.Errorf("it ended with %v", l.Err())
	}
}

func TestEitherKeyOrToken(t *testing.T) {
	t.Parallel()
	for _, cfg := range []cupline.Config{{URL: "http://a"}, {URL: "http://a", Key: "k", Token: counted(new(atomic.Int64), 0)}, {URL: "http://a", Key: "a b"}} {
		if _, err := cupline.New(cfg); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
}
