package session

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/cupline/cupline/pusher/internal/wheel"
	"github.com/cupline/cupline/schema/push"
)

// frame is any server frame.
type frame struct {
	Type      string
	Seq       uint64
	CommandID string `json:"command_id"`
	Source    string
	On        bool
	Waiting   int64
	Session   string
	Window    int
	Missed    int64
	In        int64
	Code      string
	Temporary bool
}

// line is a transport that keeps what was sent.
type line struct {
	frames []frame
	raw    []string
	code   push.CloseCode
	pings  int // not answered yet
	onSend func(frame)
}

func (l *line) Send(b []byte) {
	var f frame
	if err := json.Unmarshal(b, &f); err != nil {
		panic(err)
	}
	l.frames, l.raw = append(l.frames, f), append(l.raw, string(b))
	if f.Type == push.TypePing {
		l.pings++
	}
	if l.onSend != nil {
		l.onSend(f)
	}
}

func (l *line) Close(code push.CloseCode) { l.code = code }

func (l *line) types() []string {
	var types []string
	for _, f := range l.frames {
		types = append(types, f.Type)
	}
	return types
}

// world is all that a session needs.
type world struct {
	now      time.Time
	cfg      Config
	line     *line
	session  *Session
	joinErr  error
	old      string
	left     []bool // the keep of each Leave
	mails    int
	waiting  int64
	missed   int64
	countErr error
	receipts []uuid.UUID
	tokens   map[string]Principal
	lags     []Cause
	ended    []push.CloseCode
}

func newWorld() *world {
	w := &world{
		now: time.Unix(1_700_000_000, 0), line: &line{},
		tokens: map[string]Principal{"good": {Tenant: "t", Client: "c", KeyID: "k"}},
	}
	w.cfg = Config{
		Limits: Limits{
			Window: 8, WindowBytes: 8 << 10, Hello: 10 * time.Second, Join: time.Minute, Lookup: time.Second,
			Ping: 25 * time.Second, Pong: 10 * time.Second, Unacked: 5 * time.Second, AckTimeout: 30 * time.Second,
			Dwell: 500 * time.Millisecond, Reconnect: time.Minute,
		},
		Verifier: w, Hub: w, Mailbox: w, Receipts: w, Observer: observer{w}, Wheel: wheel.New(time.Second),
		Now: func() time.Time { return w.now }, Database: func() time.Time { return w.now.Add(time.Hour) },
		Log: zap.NewNop(),
	}
	return w
}

// connect makes a session that has not said hello.
func (w *world) connect(token string) {
	w.session = New(&w.cfg, w.line, Caller{Token: token, Address: "192.0.2.1"})
}

// open makes a session that was welcomed.
func (w *world) open() {
	w.connect("good")
	w.send(push.ClientFrame{Type: push.TypeHello})
}

func (w *world) send(f push.ClientFrame) { w.session.Receive(context.Background(), f) }

// pass lets time go by, with the wheel's looks in between. Pings are answered.
func (w *world) pass(d time.Duration) {
	const step = 100 * time.Millisecond
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(step)
		w.session.Fire(w.now)
		if w.line.pings > 0 {
			w.line.pings = 0
			w.send(push.ClientFrame{Type: push.TypePong})
		}
	}
}

func (w *world) Recheck(_ context.Context, who Principal) error {
	if who.KeyID == "revoked meanwhile" {
		return ErrRevoked
	}
	return nil
}

func (w *world) Verify(_ context.Context, token, from string) (Principal, error) {
	if from != "192.0.2.1" {
		return Principal{}, errors.New("from nowhere")
	}
	switch token {
	case "limited":
		return Principal{}, ErrLimited
	case "revoked":
		return Principal{}, ErrRevoked
	case "forbidden":
		return Principal{}, ErrForbidden
	case "away":
		return Principal{}, context.DeadlineExceeded
	}
	p, ok := w.tokens[token]
	if !ok {
		return Principal{}, ErrBadToken
	}
	return p, nil
}

func (w *world) Join(_ context.Context, _ *Session, old string) error {
	w.old = old
	return w.joinErr
}
func (w *world) Leave(_ *Session, keep bool) { w.left = append(w.left, keep) }
func (w *world) Mail(*Session)               { w.mails++ }
func (w *world) Counts(context.Context, string, string) (int64, int64, error) {
	return w.waiting, w.missed, w.countErr
}
func (w *world) Acked(it *Item)            { w.receipts = append(w.receipts, it.ID) }
func (w *world) Pushed(string)             {}
func (w *world) LagEntered(c Cause)        { w.lags = append(w.lags, c) }
func (w *world) Ended(code push.CloseCode) { w.ended = append(w.ended, code) }

// parcel is a delivery that keeps its verdict.
type parcel struct {
	id       uuid.UUID
	lost     bool
	verdicts []string
	cause    Cause
	doubtful bool
}

func (p *parcel) Settle(_ *Item, v Verdict) {
	p.verdicts = append(p.verdicts, map[Kind]string{Acked: "acked", Covered: "covered", Refused: "refused"}[v.Kind])
	p.doubtful, p.cause = v.Doubtful, v.Cause
}
func (p *parcel) Lost() bool { return p.lost }

func (p *parcel) is(verdicts ...string) bool { return slices.Equal(p.verdicts, verdicts) }

func liveItem(p *parcel, size int) *Item {
	it := NewLive(p)
	it.ID, it.Tenant, it.Client = p.id, "t", "c"
	it.Outcome = outcomeOf(p.id, size)
	return it
}

func storedItem(id uuid.UUID, size int) *Item {
	return &Item{ID: id, Tenant: "t", Client: "c", Outcome: outcomeOf(id, size)}
}

func outcomeOf(id uuid.UUID, size int) push.Outcome {
	response, _ := json.Marshal(make([]byte, size*3/4))
	return push.Outcome{ID: []byte(`"x"`), CommandID: id.String(), Device: "d", Origin: "device", Response: response}
}

// offer hands a live outcome to the session as the hub does.
func (w *world) offer(p *parcel, size int) Cause {
	it := liveItem(p, size)
	cause := w.session.Offer(w.now, it)
	it.Release(cause)
	return cause
}

// observer splits the two meanings of Acked.
type observer struct{ *world }

func (o observer) Acked(*Item, string) {}
