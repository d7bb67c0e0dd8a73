package app

import (
	"context"

	"github.com/cupline/cupline/store/registry"
)

// gate is feed.Gate of one lane on the registry's cache.
type gate struct {
	cache   *registry.Cache
	lane    string
	changed chan struct{} // room for one
}

// Open reports whether operators let the lane's commands be taken.
func (g *gate) Open(ctx context.Context) (bool, error) {
	lane, err := g.cache.Lane(ctx, g.lane)
	return lane.Taken(), err
}

// Changed gets a value after lanes may have changed.
func (g *gate) Changed() <-chan struct{} { return g.changed }

// lanesChanged tells all gates. It does not block.
func (a *App) lanesChanged() {
	for _, g := range a.gates {
		select {
		case g.changed <- struct{}{}:
		default: // told already
		}
	}
}
