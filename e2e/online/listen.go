// Package online has clients listen for as long as a test runs.
package online

import (
	"context"
	"testing"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
)

// Listen connects a client until the test ends, and returns when it is online, which may take as long as patience.
func Listen(t *testing.T, client *cupline.Client, patience time.Duration, handle func(context.Context, cupline.Outcome) error) *cupline.Listener {
	t.Helper()
	listener, err := client.Listen(cupline.ListenConfig{Handle: handle, MaxWait: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Errorf("close the listener: %v", err)
		}
	})
	waiting, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := listener.WaitOnline(waiting); err != nil {
		t.Fatal(err)
	}
	return listener
}
