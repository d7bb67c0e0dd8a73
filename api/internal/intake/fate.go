package intake

import "github.com/cupline/cupline/api/internal/problem"

// Code is the word for it.
func (f Fate) Code() problem.Code { return fates[f] }
