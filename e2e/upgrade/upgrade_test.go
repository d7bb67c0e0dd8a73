// Package upgrade_test runs programs of two releases side by side, as an upgrade does.
package upgrade_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/e2e/platform"
	"github.com/cupline/cupline/local/services"
	"github.com/cupline/cupline/schema/device"
)

// patience is far more than anything takes, since the machine may be busy.
const patience = 90 * time.Second

// buildLimit bounds the build of another release's programs, of which nothing may be cached.
const buildLimit = 5 * time.Minute

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // all of it needs processes
	}
	os.Exit(m.Run())
}

// TestOldAndNewWorkTogether walks commands through the api of the last tag with the other
// services of this checkout, and the reverse, on a database that the new one migrated.
// Before there is a tag, a clone of this checkout has its newest commit tagged, so that
// everything but the difference is tried.
func TestOldAndNewWorkTogether(t *testing.T) {
	starting, cancel := context.WithTimeout(t.Context(), platform.StartLimit)
	defer cancel()
	site, err := platform.Start(starting, t.TempDir())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := site.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	current := site.Programs()
	root, err := services.Root()
	if err != nil {
		t.Fatal(err)
	}
	old, tag := released(t, root)
	if tag == "" {
		t.Log("there is no tag yet: the newest commit stands in for the release before")
		if old, tag = released(t, tagged(t, root)); tag != "v0.0.0-stand-in" {
			t.Fatalf("the clone's tag is %q", tag)
		}
	}
	for _, mix := range []struct{ name, api, dispatcher, pusher string }{
		{"old api", old, current, current},
		{"old dispatcher", current, old, current},
		{"old pusher", current, current, old},
	} {
		t.Run(mix.name, func(t *testing.T) {
			for _, s := range []struct{ program, from string }{
				{services.API, mix.api}, {services.Dispatcher, mix.dispatcher}, {services.Pusher, mix.pusher},
			} {
				env := map[string]string{"CUPLINE_SLOT": "slot-0", "CUPLINE_HTTP_ALLOWED_NETWORKS": "127.0.0.0/8"}
				service, err := site.RunFrom(bounded(t), s.from, s.program, s.program, env)
				if err != nil {
					t.Fatal(err)
				}
				if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", service.PID())); err != nil || filepath.Dir(exe) != s.from {
					t.Errorf("%s runs from %s, %v", s.program, exe, err)
				}
			}
			walk(t, site)
			for _, program := range []string{services.API, services.Dispatcher, services.Pusher} {
				if err := site.End(bounded(t), program); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// git runs it in a folder, as nobody in particular.
func git(t *testing.T, folder string, args ...string) (string, error) {
	t.Helper()
	nobody := []string{"-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"}
	command := exec.CommandContext(bounded(t), "git", append(nobody, args...)...)
	command.Dir = folder
	said, err := command.Output()
	return string(bytes.TrimSpace(said)), err
}

// tagged makes a clone of a checkout, in which the newest commit is tagged and an empty one follows.
func tagged(t *testing.T, root string) (clone string) {
	t.Helper()
	clone = filepath.Join(t.TempDir(), "clone")
	for _, step := range []struct {
		folder string
		args   []string
	}{
		{root, []string{"clone", "--quiet", "--no-tags", "file://" + root, clone}},
		{clone, []string{"tag", "v0.0.0-stand-in"}},
		{clone, []string{"commit", "--quiet", "--allow-empty", "--message", "after the release"}},
	} {
		if said, err := git(t, step.folder, step.args...); err != nil {
			t.Fatalf("git %v: %v\n%s", step.args, err, said)
		}
	}
	return clone
}

// released builds the programs of the newest tag before a checkout's commit; no tag gives "".
func released(t *testing.T, root string) (folder, tag string) {
	t.Helper()
	// The commit itself may be the release: the one before it counts.
	tag, err := git(t, root, "describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD^")
	if err != nil || tag == "" {
		return "", ""
	}
	source, folder := filepath.Join(t.TempDir(), "source"), filepath.Join(t.TempDir(), "bin")
	if said, err := git(t, root, "worktree", "add", "--detach", source, tag); err != nil {
		t.Fatalf("take out %s: %v\n%s", tag, err, said)
	}
	t.Cleanup(func() {
		remove := exec.Command("git", "worktree", "remove", "--force", source)
		remove.Dir = root
		if said, err := remove.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, said)
		}
	})
	building, cancel := context.WithTimeout(t.Context(), buildLimit)
	defer cancel()
	if err := services.Build(building, source, folder); err != nil {
		t.Fatal(err)
	}
	return folder, tag
}

// walk sends commands that end in each main way, and takes each outcome once: live, and
// from the mailbox.
func walk(t *testing.T, site *platform.Platform) {
	t.Helper()
	ctx := bounded(t)
	tenant := "t" + strings.ToLower(rand.Text()[:10])
	printed, err := site.CLI(ctx, "keys", "create", "--database", "--tenant", tenant, "--client", "web",
		"--scope", "commands:send,replies:read,devices:read,devices:write", "--output", "json")
	if err != nil {
		t.Fatal(err)
	}
	var made struct{ Token string }
	if err := json.Unmarshal(printed, &made); err != nil {
		t.Fatal(err)
	}
	client, err := cupline.New(cupline.Config{
		URL: "http://" + site.Service(services.API).Public, PushURL: "ws://" + site.Service(services.Pusher).Public, Key: made.Token,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdle()
	register(t, client)
	const each = 10
	want := map[string]string{} // command id to a word of its outcome
	send := func(to, word string) {
		accepted, err := client.Send(ctx, to, "on", nil, cupline.SendOptions{})
		if err != nil {
			t.Fatal(err)
		}
		want[accepted.CommandID] = word
	}
	for range each { // nobody listens: they go to the mailbox
		send("lamp", `"result":true`)
		send("absent", `"reason":"device_offline"`)
	}
	eventually(t, "all wait in the mailbox", func() bool {
		box, err := client.Mailbox(ctx, 0, 1)
		return err == nil && box.Waiting == 2*each
	})
	arrivals := make(chan cupline.Outcome, 1000)
	listener, err := client.Listen(cupline.ListenConfig{MaxWait: time.Second, Handle: func(_ context.Context, o cupline.Outcome) error {
		arrivals <- o
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := listener.WaitOnline(ctx); err != nil {
		t.Fatal(err)
	}
	for range each { // live
		send("lamp", `"result":true`)
		send("absent", `"reason":"device_offline"`)
	}
	for range 4 * each {
		select {
		case o := <-arrivals:
			if word, ok := want[o.CommandID]; !ok || !strings.Contains(string(o.Response), word) {
				t.Errorf("outcome %s, wanted %q once", o.Response, word)
			}
			delete(want, o.CommandID)
		case <-ctx.Done():
			t.Fatalf("%d outcomes are missing", len(want))
		}
	}
}

func register(t *testing.T, client *cupline.Client) {
	t.Helper()
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request struct{ ID json.RawMessage }
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			t.Errorf("the device cannot read the request: %v", err)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":true}`, request.ID)
	}))
	t.Cleanup(there.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	if _, err := client.PutDeviceType(bounded(t), device.Type{Name: "web", Lane: "default", Driver: "http"}); err != nil {
		t.Fatal(err)
	}
	for name, url := range map[string]string{"lamp": there.URL, "absent": gone.URL} {
		d := device.Device{ID: name, Type: "web", Address: json.RawMessage(`{"url":"` + url + `"}`)}
		if _, err := client.PutDevice(bounded(t), d); err != nil {
			t.Fatal(err)
		}
	}
}

// eventually asks until it is so; each question waits a little longer.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx := bounded(t)
	for pause := 10 * time.Millisecond; !so(); pause = min(2*pause, time.Second) {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-time.After(pause):
		}
	}
}
