package changes_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"go.uber.org/zap"

	"github.com/cupline/cupline/store/changes"
)

// subscriber writes down what it is told.
type subscriber struct {
	channels []string
	told     []string
}

func (s *subscriber) Channels() []string { return s.channels }
func (s *subscriber) Notify(_ context.Context, channel, payload string) {
	s.told = append(s.told, channel+" "+payload)
}
func (s *subscriber) Connected(context.Context) { s.told = append(s.told, "connected") }
func (s *subscriber) Disconnected()             { s.told = append(s.told, "disconnected") }

func TestEachHearsItsOwn(t *testing.T) {
	t.Parallel()
	keys := &subscriber{channels: []string{changes.Keys}}
	both := &subscriber{channels: []string{changes.Keys, changes.Registry}}
	cfg := changes.Listener(zap.NewNop(), keys, both)
	if want := []string{changes.Keys, changes.Registry}; !slices.Equal(cfg.Channels, want) {
		t.Errorf("listens on %v, want %v", cfg.Channels, want)
	}
	cfg.Connected(t.Context())
	cfg.Notify(t.Context(), changes.Keys, "1")
	cfg.Notify(t.Context(), changes.Registry, "2")
	cfg.Notify(t.Context(), "another", "3")
	cfg.Disconnected()
	for s, want := range map[*subscriber]string{
		keys: fmt.Sprint([]string{"connected", changes.Keys + " 1", "disconnected"}),
		both: fmt.Sprint([]string{"connected", changes.Keys + " 1", changes.Registry + " 2", "disconnected"}),
	} {
		if got := fmt.Sprint(s.told); got != want {
			t.Errorf("told %s, want %s", got, want)
		}
	}
}
