package identity

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// VerifierConfig of a Verifier. Zero values mean the defaults.
type VerifierConfig struct {
	// Keys kept, 1 to 10,000,000. Default 100,000.
	Keys int
	// Negative is how long "unknown" is believed without asking again. Default 2 s.
	Negative time.Duration
	// LoadTimeout bounds one look into the database. Default 2 s.
	LoadTimeout time.Duration
	// FlushEvery is how often last uses are written. Default 30 s.
	FlushEvery time.Duration
	// Now in database time; nil means this machine's clock.
	Now func() time.Time
	// OnRevoke is called, not on the caller's goroutine, once this process learns that a
	// key was revoked, also when that happened while notifications did not come; it must
	// not block for long. May be nil.
	OnRevoke func(tenant, client, keyID string)
	Log      *zap.Logger
}

// Verifier answers who a token stands for, from memory. It is a changes.Subscriber and safe
// for concurrent use. While notifications do not come, keys are asked for anew, and
// believed as they were last known when the database does not answer.
type Verifier struct{}

// NewVerifier makes an empty verifier on the store.
func NewVerifier(store *Store, cfg VerifierConfig) *Verifier { return &Verifier{} }

// Start begins to write last uses in the background.
func (v *Verifier) Start(ctx context.Context) error { return errSoon }

// Stop writes what is left and ends.
func (v *Verifier) Stop(ctx context.Context) error { return errSoon }

// Verify tells who token stands for: ErrUnknown, ErrRevoked, ErrExpired, or ErrUnavailable
// when the key is not in memory and the database does not answer.
func (v *Verifier) Verify(ctx context.Context, token string) (Principal, error) {
	return Principal{}, errSoon
}

// Channels is changes.Keys.
func (v *Verifier) Channels() []string { return nil }

// Notify drops the key that payload names, and tells OnRevoke.
func (v *Verifier) Notify(ctx context.Context, channel, payload string) {}

// Connected marks every key as to be asked for anew, and finds what was revoked in the gap.
func (v *Verifier) Connected(ctx context.Context) {}

// Disconnected marks every key as to be asked for anew until Connected.
func (v *Verifier) Disconnected() {}
