package session

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/cupline/cupline/schema/push"
)

// model is a broker, a mailbox and a client around one session.
type model struct {
	*world
	t *rapid.T

	parcels []*parcel
	ids     []uuid.UUID
	sizes   map[uuid.UUID]int
	atSea   []*parcel // refused, on their way to the mailbox
	mailbox []uuid.UUID
	acked   map[uuid.UUID]bool // by the client
	unacked []uuid.UUID        // at the client, in order
	seq     uint64
	lagging bool
	told    map[uuid.UUID]int // how often each was sent
}

func newModel(t *rapid.T) *model {
	m := &model{world: newWorld(), t: t, sizes: map[uuid.UUID]int{}, acked: map[uuid.UUID]bool{}, told: map[uuid.UUID]int{}}
	m.line.onSend = m.receive
	m.open()
	return m
}

// receive is the client's side; it holds the session to what a client may rely on.
func (m *model) receive(f frame) {
	switch f.Type {
	case push.TypeLag:
		if f.On == m.lagging {
			m.t.Fatalf("told lag %v twice", f.On)
		}
		m.lagging = f.On
	case push.TypeOutcome:
		id := uuid.MustParse(f.CommandID)
		m.seq++
		m.told[id]++
		switch {
		case f.Seq != m.seq:
			m.t.Fatalf("seq %d after %d", f.Seq, m.seq-1)
		case f.Source == push.SourceLive && m.lagging:
			m.t.Fatalf("a live outcome while lagging")
		case slices.Contains(m.unacked, id):
			m.t.Fatalf("sent again while unacked")
		case len(m.unacked) >= m.cfg.Limits.Window:
			m.t.Fatalf("%d outcomes unacked", len(m.unacked)+1)
		}
		bytes := m.size(id)
		for _, other := range m.unacked {
			bytes += m.size(other)
		}
		if len(m.unacked) > 0 && bytes > m.cfg.Limits.WindowBytes {
			m.t.Fatalf("%d bytes unacked", bytes)
		}
		m.unacked = append(m.unacked, id)
	}
}

func (m *model) size(id uuid.UUID) int { return storedItem(id, m.sizes[id]).Size() }

// deliver gives an outcome to the session, as the broker does.
func (m *model) deliver(id uuid.UUID) {
	p := &parcel{id: id}
	m.parcels = append(m.parcels, p)
	m.offer(p, m.sizes[id])
	m.collect()
}

// collect moves refused deliveries towards the mailbox.
func (m *model) collect() {
	m.parcels = slices.DeleteFunc(m.parcels, func(p *parcel) bool {
		switch {
		case len(p.verdicts) > 1:
			m.t.Fatalf("%d verdicts: %v", len(p.verdicts), p.verdicts)
		case p.is("refused") && !p.lost:
			m.atSea = append(m.atSea, p)
			return true
		case p.is("acked") && !m.acked[p.id]:
			m.t.Fatalf("settled as acked without the client's ack")
		}
		// What was lost stays with the broker, whatever the verdict was.
		return len(p.verdicts) == 1 && !p.lost
	})
}

// arrive stores what was refused, and announces it.
func (m *model) arrive() {
	for _, p := range m.atSea {
		if !slices.Contains(m.mailbox, p.id) && !m.acked[p.id] {
			m.mailbox = append(m.mailbox, p.id)
		}
	}
	if len(m.atSea) > 0 {
		m.session.Announced(m.now)
		m.mails++
	}
	m.atSea = nil
}

// read looks into the mailbox as the hub and the reader do: only when asked.
func (m *model) read() {
	if m.mails == 0 {
		return
	}
	m.mails = 0
	f := m.session.InFlight(nil)
	if !f.Open || f.Outcomes == 0 {
		return
	}
	var items []*Item
	bytes, waiting := 0, int64(len(m.mailbox))
	for _, id := range m.mailbox {
		if slices.Contains(f.IDs, id) {
			continue
		}
		if bytes += m.size(id); len(items) == f.Outcomes || len(items) > 0 && bytes > f.Bytes {
			break
		}
		items = append(items, storedItem(id, m.sizes[id]))
	}
	more := waiting - int64(len(items)) - f.Stored
	sent, full := m.session.Fill(m.now, items, more, more-f.Recent)
	if !full {
		m.session.CaughtUp(m.now)
	} else if sent > 0 {
		m.mails++
	}
}

// ack acks the client's first n unacked outcomes.
func (m *model) ack(n int) {
	if n == 0 {
		return
	}
	seq := m.seq - uint64(len(m.unacked)-n)
	for _, id := range m.unacked[:n] {
		m.acked[id] = true
	}
	m.unacked = m.unacked[n:]
	m.send(push.ClientFrame{Type: push.TypeAck, Seq: seq})
	// A plain ack is noted in the ledger only; a doubtful one in the mailbox as well.
	noted := m.receipts
	for _, p := range m.parcels {
		if p.is("acked") && p.doubtful {
			noted = append(noted, p.id)
		}
	}
	m.receipts = nil
	m.collect()
	m.mailbox = slices.DeleteFunc(m.mailbox, func(id uuid.UUID) bool { return slices.Contains(noted, id) })
}

func (m *model) step() {
	switch rapid.SampledFrom([]string{
		"new", "new", "new", "copy", "loseLink", "redeliver", "arrive", "read", "ack", "ack", "time", "evict",
	}).Draw(m.t, "step") {
	case "new":
		id := uuid.UUID{15: byte(len(m.ids) + 1)}
		m.ids = append(m.ids, id)
		m.sizes[id] = rapid.SampledFrom([]int{10, 100, 1000, 5000, 20000}).Draw(m.t, "size")
		m.deliver(id)
	case "copy":
		// The dispatcher published the same outcome again.
		if len(m.ids) > 0 {
			m.deliver(rapid.SampledFrom(m.ids).Draw(m.t, "which"))
		}
	case "loseLink":
		for _, p := range m.parcels {
			p.lost = true
		}
	case "redeliver":
		m.redeliver()
	case "arrive":
		m.arrive()
	case "read":
		m.read()
	case "ack":
		m.ack(rapid.IntRange(0, len(m.unacked)).Draw(m.t, "acks"))
	case "time":
		m.pass(time.Duration(rapid.IntRange(1, 70).Draw(m.t, "deciseconds")) * 100 * time.Millisecond)
		m.collect()
	case "evict":
		if e := m.session.window.OldestLive(); e != nil {
			e.Item.Evict(Crowded)
			m.collect()
		}
	}
}

// redeliver gives again what was lost with the link.
func (m *model) redeliver() {
	var again []uuid.UUID
	m.parcels = slices.DeleteFunc(m.parcels, func(p *parcel) bool {
		if p.lost {
			again = append(again, p.id)
		}
		return p.lost
	})
	for _, id := range again {
		m.deliver(id)
	}
}

// Whatever happens, in whatever order: the window is kept, nothing is sent again while it
// waits for its ack, each delivery gets one verdict, and nothing is lost: in the end, with
// a client that acks, everything was acked, the mailbox is empty, and the session is live.
func TestNothingIsLostAndTheWindowHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			if m.line.code != 0 {
				break
			}
			m.step()
		}
		if m.line.code != 0 && m.line.code != push.AckTimeout {
			t.Fatalf("closed with %d", m.line.code)
		}
		// A client that was slow, or left, has to find everything in a new session.
		if m.line.code == 0 && rapid.Bool().Draw(t, "stays") {
			m.settleDown()
		}
		m.line.onSend = nil
		m.session.Lost()
		m.collect()
		m.redeliver()
		m.arrive()
		for id := range m.sizes {
			if !m.acked[id] && !slices.Contains(m.mailbox, id) {
				t.Fatalf("%s is lost", id)
			}
		}
		for _, p := range m.parcels {
			if len(p.verdicts) != 1 {
				t.Fatalf("%d verdicts", len(p.verdicts))
			}
		}
	})
}

func (m *model) settleDown() {
	for range 200 {
		m.redeliver()
		m.arrive()
		m.read()
		m.ack(len(m.unacked))
		m.pass(600 * time.Millisecond)
		m.collect()
		if m.line.code != 0 {
			m.t.Fatalf("a client that acks was closed with %d", m.line.code)
		}
	}
	if len(m.mailbox) > 0 || m.lagging || len(m.unacked) > 0 {
		m.t.Fatalf("%d in the mailbox, lagging %v, %d unacked", len(m.mailbox), m.lagging, len(m.unacked))
	}
}
