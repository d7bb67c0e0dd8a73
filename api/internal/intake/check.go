package intake

import (
	"errors"

	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/schema/jsonrpc"
)

// check holds one request against the policies of its device's type. nil is a pass.
func (in *Intake) check(t Target, r *jsonrpc.Request) *problem.Problem {
	policy, described := t.Type.Methods[r.Method]
	if t.Lane.LedgerOff && !policy.Idempotent {
		reason := "the method is not described in the device's type, so it is not known to be idempotent"
		if described {
			reason = "the method is not idempotent"
		}
		return problem.New(problem.NotIdempotent, "lane %s keeps no ledger, and %s", t.Lane.Name, reason).At("method")
	}
	if len(policy.Params) == 0 {
		return nil
	}
	schema, err := in.schemas.get(schemaKey{t.Device.Tenant, t.Type.Name, t.TypeVersion, r.Method}, policy.Params)
	if err != nil {
		// It was compiled when the type was put, so this is no fault of the request.
		return problem.From(problem.Internal, err)
	}
	var failed *ParamsError
	if err := schema.Check(r.Params); errors.As(err, &failed) {
		return problem.New(problem.InvalidParams, "%s", failed.Reason).At(failed.Pointer)
	} else if err != nil {
		return problem.From(problem.Internal, err)
	}
	return nil
}
