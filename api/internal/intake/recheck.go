package intake

import (
	"context"

	"github.com/cupline/cupline/schema/jsonrpc"
)

// Check holds a request to the policies of its device's type as a post would be. The error is a *problem.Problem.
func (in *Intake) Check(_ context.Context, t Target, r *jsonrpc.Request) error {
	if failed := in.check(t, r); failed != nil {
		return failed
	}
	return nil
}
