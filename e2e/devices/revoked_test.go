package devices_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
)

// connected tells how many connections of a device the broker lists, which it does some seconds after they were made.
func connected(t *testing.T, user string) int {
	t.Helper()
	answer, err := http.Get(site.Broker.ManagementURL() + "/api/connections/username/" + url.PathEscape(user))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var all []struct{ Name string }
	if err := json.NewDecoder(answer.Body).Decode(&all); err != nil && answer.StatusCode != http.StatusNotFound {
		t.Fatal(err)
	}
	return len(all)
}

// watch returns when the tool has lost its connection and tries again.
func watch(lines *bufio.Scanner) <-chan struct{} {
	lost := make(chan struct{})
	go func() {
		defer close(lost)
		for lines.Scan() && !strings.Contains(lines.Text(), "sending CONNECT") {
		}
	}()
	return lost
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for ctx := bounded(t); !done(); {
		select {
		case <-tick():
		case <-ctx.Done():
			t.Fatalf("never came: %s", what)
		}
	}
}

// What a device logged in with is good no longer: its connection is ended by the platform itself, and opens no more.
func TestWhoMayNotLogInIsDisconnected(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(ctx context.Context, n tenant) error{
		"a revoked credential": func(ctx context.Context, n tenant) error {
			all, err := n.admin.DeviceCredentials(ctx, "lamp-1")
			if err != nil {
				return err
			}
			return n.admin.RevokeDeviceCredential(ctx, "lamp-1", all[0].ID)
		},
		"a deleted device": func(ctx context.Context, n tenant) error { return n.admin.DeleteDevice(ctx, "lamp-1") },
		"an erased tenant": func(ctx context.Context, n tenant) error {
			_, err := n.admin.Erase(ctx, cupline.NewErasure{WholeTenant: true, Reason: "left us"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newTenant(t)
			lamp, other := n.login(t, "lamp-1"), newTenant(t).login(t, "lamp-1")
			commands, err := lamp.subscribe(t, own(lamp))
			if err != nil {
				t.Fatal(err)
			}
			others, err := other.subscribe(t, own(other))
			if err != nil {
				t.Fatal(err)
			}
			for _, user := range []string{lamp.user, other.user} {
				await(t, "the broker lists "+user, func() bool { return connected(t, user) == 1 })
			}
			lost, stays := watch(commands), watch(others)
			if err := end(bounded(t), n); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			select {
			case <-lost:
				t.Logf("disconnected after %s", time.Since(began).Round(time.Millisecond))
			case <-stays:
				t.Fatal("another tenant's device of the same name lost its connection")
			case <-bounded(t).Done():
				t.Fatal("the connection stays")
			}
			await(t, "it is gone, and stays so", func() bool { return connected(t, lamp.user) == 0 })
			if err := lamp.publish(t, "devices/"+lamp.user+"/events/on", "1"); err == nil {
				t.Error("it logs in again")
			}
			if connected(t, other.user) != 1 {
				t.Error("another tenant's device of the same name is gone")
			}
		})
	}
}

// An operator ends a device's connections for whatever reason; with a good credential it comes back.
func TestAnOperatorDisconnectsADevice(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	lamp := n.login(t, "lamp-1")
	commands, err := lamp.subscribe(t, own(lamp))
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the broker lists it", func() bool { return connected(t, lamp.user) == 1 })
	lost := watch(commands)
	if _, err := site.CLI(bounded(t), "devices", "disconnect", "lamp-1", "--tenant", n.name); err != nil {
		t.Fatal(err)
	}
	select {
	case <-lost:
	case <-bounded(t).Done():
		t.Fatal("the connection stays")
	}
	if _, err := n.admin.Send(bounded(t), "lamp-1", "on", nil, cupline.SendOptions{}); err != nil {
		t.Error(err)
	}
}
