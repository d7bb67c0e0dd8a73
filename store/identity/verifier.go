package identity

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/jwt"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/store/changes"
	"github.com/cupline/cupline/store/internal/recall"
)

// Principal is who a token stands for.
type Principal struct {
	Tenant string
	Client string
	KeyID  string
	// Scopes and Reach are shared by all who verify: they must not be changed.
	Scopes []string
	Reach  device.Reach
	// Expires zero means never.
	Expires time.Time
}

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
	// OnRevoke is called once this process learns that a key was revoked, also when that
	// happened while notifications did not come; for one key maybe several times. Also, within FlushEvery or
	// so, when a key's time is over, which may come sooner than Principal.Expires said: a rotation shortens it. It is
	// never called by Verify's caller, and must not block for long. May be nil.
	OnRevoke func(tenant, client, keyID string)
	// Tokens are verified by it, and Claims say who they stand for; nil takes no tokens but keys and tickets.
	Tokens Tokens
	Claims ClaimNames
	// Warm is a scope whose keys are known from the start and after each change, the newest 256, whether they were used here or not: those of
	// people who look when the database is away. Empty for none.
	Warm string
	// Tickets are redeemed here: where sockets are opened. Elsewhere they are not known.
	Tickets bool
	Log     *zap.Logger
}

func (c VerifierConfig) withDefaults() VerifierConfig {
	c.Keys = cmp.Or(c.Keys, 100_000)
	c.Negative = cmp.Or(c.Negative, 2*time.Second)
	c.LoadTimeout = cmp.Or(c.LoadTimeout, 2*time.Second)
	c.FlushEvery = cmp.Or(c.FlushEvery, 30*time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	return c
}

const (
	// Kept is for how long a key that was verified is good while the database is away. What was revoked before that is known.
	Kept = 24 * time.Hour
	// mostWarm bounds the keys of VerifierConfig.Warm.
	mostWarm = 256
	// gapMargin is added to a gap in the notifications: a dead link is noticed late, and a
	// revocation may commit later than its time says.
	gapMargin  = 2 * time.Minute
	sweepRetry = 500 * time.Millisecond
)

// Verifier answers who a token stands for, from memory. It is a changes.Subscriber and safe
// for concurrent use. While notifications do not come, keys are asked for anew, and
// believed as they were last known, for Kept, when the database does not answer.
type Verifier struct {
	store *Store
	cfg   VerifierConfig
	keys  *recall.Memory[string, *secured]
	// tenants that tokens name.
	tenants *recall.Memory[string, struct{}]
	sweep   chan struct{} // what was revoked in a gap has to be found
	warm    chan struct{} // the keys of Warm have to be looked at
	stop    context.CancelFunc
	work    sync.WaitGroup

	mu    sync.Mutex // guards the rest
	uses  map[string]time.Time
	live  bool      // notifications come
	since time.Time // when the gap began whose revocations are not yet found; zero for none
}

// NewVerifier makes an empty verifier on the store.
func NewVerifier(store *Store, cfg VerifierConfig) *Verifier {
	cfg = cfg.withDefaults()
	return &Verifier{
		store: store, cfg: cfg, sweep: make(chan struct{}, 1), warm: make(chan struct{}, 1), stop: func() {}, uses: map[string]time.Time{}, since: time.Now(),
		keys: recall.New(recall.Config[string, *secured]{
			Load: store.byID, Absent: ErrUnknown, Size: cfg.Keys, Negative: cfg.Negative, LoadTimeout: cfg.LoadTimeout, Keep: Kept,
		}),
		tenants: recall.New(recall.Config[string, struct{}]{
			Load: store.known, Absent: ErrNotFound, Size: cfg.Keys, Negative: cfg.Negative, LoadTimeout: cfg.LoadTimeout,
		}),
	}
}

// Start begins to write last uses, and to look for what was revoked in gaps, in the background.
func (v *Verifier) Start(ctx context.Context) error {
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	v.stop = stop
	v.work.Go(func() { v.run(run) })
	return nil
}

// Stop ends that, and writes the last uses that are left.
func (v *Verifier) Stop(ctx context.Context) error {
	v.stop()
	v.work.Wait()
	return v.flush(ctx)
}

// Verify tells who token stands for: ErrUnknown, ErrRevoked, ErrExpired, or ErrUnavailable
// when the key is not in memory and the database does not answer. A ticket is used up by it.
func (v *Verifier) Verify(ctx context.Context, token string) (Principal, error) {
	switch {
	case v.cfg.Tokens != nil && jwt.Looks(token):
		return v.bearer(ctx, token)
	case v.cfg.Tickets && IsTicket(token):
		p, err := v.store.redeem(ctx, token)
		if err == nil {
			err = v.Recheck(ctx, p)
		}
		return p, err
	}
	return v.key(ctx, token)
}

// Remembers reports whether Verify needs no database for this token: its key is in memory, or it is not a key's.
func (v *Verifier) Remembers(token string) bool {
	keyID, is := KeyID(token)
	return !is || v.keys.Has(keyID)
}

// Recheck tells whether what Verify has said still holds: ErrRevoked, ErrExpired, ErrUnknown or ErrUnavailable. It needs no token,
// which may have been good only once.
func (v *Verifier) Recheck(ctx context.Context, p Principal) error {
	if strings.HasPrefix(p.KeyID, SubjectPrefix) {
		if !p.Expires.IsZero() && !v.cfg.Now().Before(p.Expires) {
			return ErrExpired
		}
		return nil
	}
	key, err := v.keys.Get(ctx, p.KeyID)
	if err != nil {
		return fmt.Errorf("verify a key: %w", err)
	}
	return key.good(v.cfg.Now())
}

func (v *Verifier) key(ctx context.Context, token string) (Principal, error) {
	keyID, secret, ok := parseToken(token)
	if !ok {
		return Principal{}, ErrUnknown
	}
	key, err := v.keys.Get(ctx, keyID)
	if err != nil {
		return Principal{}, fmt.Errorf("verify a key: %w", err)
	}
	now := v.cfg.Now()
	if !key.matches(secret) {
		return Principal{}, ErrUnknown
	}
	if err := key.good(now); err != nil {
		return Principal{}, err
	}
	v.used(keyID, now)
	return Principal{Tenant: key.Tenant, Client: key.Client, KeyID: keyID, Scopes: key.Scopes, Reach: key.Reach, Expires: key.Expires}, nil
}

// used remembers a use. There are never more than keys are kept: past that, uses go unnoted.
func (v *Verifier) used(keyID string, at time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, known := v.uses[keyID]; known || len(v.uses) < v.cfg.Keys {
		v.uses[keyID] = at
	}
}

// Channels is changes.Keys.
func (v *Verifier) Channels() []string { return []string{changes.Keys} }

// Notify drops the key that payload names, and tells OnRevoke.
func (v *Verifier) Notify(_ context.Context, _, payload string) {
	words := strings.Split(payload, " ")
	if len(words) != 4 {
		return
	}
	v.keys.Drop(words[3])
	if words[0] == "revoked" && v.cfg.OnRevoke != nil {
		v.cfg.OnRevoke(words[1], words[2], words[3])
	}
	ask(v.warm)
}

// ask leaves a wish, unless there is one.
func ask(wish chan<- struct{}) {
	select {
	case wish <- struct{}{}:
	default:
	}
}

// Connected marks every key as to be asked for anew, and has what was revoked in the gap found.
func (v *Verifier) Connected(context.Context) {
	v.keys.Connected()
	v.tenants.Connected()
	v.mu.Lock()
	v.live = true
	v.mu.Unlock()
	ask(v.sweep)
	ask(v.warm)
}

// Disconnected marks every key as to be asked for anew until Connected.
func (v *Verifier) Disconnected() {
	v.keys.Disconnected()
	v.tenants.Disconnected()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.live = false
	if v.since.IsZero() {
		v.since = time.Now()
	}
}

func (v *Verifier) run(ctx context.Context) {
	flush := time.NewTicker(v.cfg.FlushEvery)
	defer flush.Stop()
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-flush.C:
			if err := v.flush(ctx); err != nil && ctx.Err() == nil {
				v.cfg.Log.Warn("last uses of keys wait to be written", zap.Error(err))
			}
			if err := v.findEnded(ctx); err != nil && ctx.Err() == nil {
				v.cfg.Log.Warn("keys whose time is over are not known yet", zap.Error(err))
			}
			continue
		case <-v.warm:
			if err := v.warmUp(ctx); err != nil && ctx.Err() == nil {
				v.cfg.Log.Warn("keys are not known beforehand", zap.String("scope", v.cfg.Warm), zap.Error(err))
			}
			continue
		case <-v.sweep:
		case <-again:
		}
		again = nil
		if err := v.findRevoked(ctx); err != nil && ctx.Err() == nil {
			v.cfg.Log.Warn("keys revoked while nobody listened are not known yet", zap.Error(err))
			again = time.After(sweepRetry)
		}
	}
}
