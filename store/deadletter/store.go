package deadletter

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/audit"
)

// ErrNotFound says that there is no such letter.
var ErrNotFound = errors.New("no such dead letter")

// Store keeps dead letters. It is safe for concurrent use.
type Store struct{ pool *postgres.Pool }

// New makes a store on the pool.
func New(pool *postgres.Pool) *Store { return &Store{pool: pool} }

// maxText is the most bytes kept of a text that had to be made storable.
const maxText = 512

const (
	insertSQL = `insert into dead_letters (tenant, letter_id, identity, command_id, client, device, device_type, method, lane,
		id, redrive, redrive_of, reason, executed, detail, state, payload, properties, headers, deaths, outcome, digest, died_at,
		changed_at, changed_by)
		values (case when $24::boolean and not exists (select from tenants where tenant = $1) then '` + topology.SystemTenant + `' else $1 end,
		$2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
		coalesce($23, clock_timestamp()), case when $16::text = 'discarded' then clock_timestamp() end, case when $16::text = 'discarded' then 'a drain' end)
		on conflict (tenant, identity) do update set detail = dead_letters.detail returning letter_id, tenant` // says which one is there

	summaryColumns = `tenant, letter_id, command_id, client, device, device_type, method, lane, id, redrive, redrive_of,
		reason, executed, detail, state, digest, died_at, cause, group_id, redriven_as, coalesce(redrive_number, 0), job_id,
		changed_at, coalesce(changed_by, ''), coalesce(changed_why, '')`
)

// prepared is the letter as it is written.
func (l Letter) prepared() (Letter, error) {
	if l.Redrive < 0 || l.Redrive > math.MaxInt32 {
		return Letter{}, fmt.Errorf("redrive %d: %w", l.Redrive, store.ErrRefused)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Letter{}, fmt.Errorf("make a letter's id: %w", err)
	}
	l.LetterID = id
	l.Detail = audit.Text(l.Detail, audit.MaxDetail)
	if l.State == "" {
		l.State = Open
	}
	for _, b := range []*[]byte{&l.Payload, &l.Properties, &l.Headers, &l.Deaths} {
		if *b == nil {
			*b = []byte{}
		}
	}
	if l.Digest == [32]byte{} {
		l.Digest = sha256.Sum256(l.Payload)
	}
	return l, nil
}

// identity is what makes a letter the same one when it is delivered again.
func (l *Letter) identity() []byte {
	if l.CommandID != uuid.Nil && l.Reason != string(outcome.Unrecordable) {
		return l.CommandID[:]
	}
	return l.Digest[:]
}

// queue writes the letter; then is called with its id, or with that of the one that was there before, and whose it is.
func (l *Letter) queue(b *pgx.Batch, then func(id uuid.UUID, tenant string, again bool)) {
	b.Queue(insertSQL, l.Tenant, [16]byte(l.LetterID), l.identity(), zeronull.UUID(l.CommandID), l.Client, l.Device, l.DeviceType,
		l.Method, l.Lane, l.ID, l.Redrive, zeronull.UUID(l.RedriveOf), l.Reason, l.Executed, l.Detail, l.State,
		l.Payload, l.Properties, l.Headers, l.Deaths, l.Outcome, l.Digest[:], zeronull.Timestamptz(l.DiedAt), l.Alleged,
	).QueryRow(func(row pgx.Row) error {
		var id uuid.UUID
		var tenant string
		if err := row.Scan((*[16]byte)(&id), &tenant); err != nil {
			return err
		}
		then(id, tenant, id != l.LetterID)
		return nil
	})
}

// Park keeps a message that cannot be kept as a letter: under topology.SystemTenant, with every
// text made storable, reason "unrecordable". It never refuses a letter for its data. The whole
// message's digest tells one from another; again is true when it is there already, and then entries are not written.
func (s *Store) Park(ctx context.Context, letter Letter, entries ...audit.Entry) (letterID uuid.UUID, again bool, err error) {
	letter.Tenant = topology.SystemTenant
	letter.Reason = string(outcome.Unrecordable)
	letter.Redrive = max(0, min(letter.Redrive, math.MaxInt32))
	letter.State = Open
	for _, text := range []*string{&letter.Client, &letter.Device, &letter.DeviceType, &letter.Method, &letter.Lane, &letter.Executed} {
		*text = audit.Text(*text, maxText)
	}
	letter, err = letter.prepared()
	if err != nil {
		return uuid.Nil, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var batch pgx.Batch
		letter.queue(&batch, func(id uuid.UUID, _ string, found bool) { letterID, again = id, found })
		if err := tx.SendBatch(ctx, &batch).Close(); err != nil || again {
			return err
		}
		var trail pgx.Batch
		audit.Queue(&trail, entries...)
		return tx.SendBatch(ctx, &trail).Close()
	})
	return letterID, again, store.Fault("park a message", err)
}

// Get returns one letter whole, or ErrNotFound.
func (s *Store) Get(ctx context.Context, tenant string, letterID uuid.UUID) (Letter, error) {
	var l Letter
	row := s.pool.QueryRow(ctx, `select `+summaryColumns+`, payload, properties, headers, deaths, outcome, edited, plan
		from dead_letters where tenant = $1 and letter_id = $2`, tenant, [16]byte(letterID))
	var plan []byte
	err := l.scan(row, &l.Payload, &l.Properties, &l.Headers, &l.Deaths, &l.Outcome, &l.Edited, &plan)
	if errors.Is(err, pgx.ErrNoRows) {
		return Letter{}, ErrNotFound
	}
	if err == nil && plan != nil {
		var p Plan
		err = json.Unmarshal(plan, &p)
		l.Lasts = p.Lasts()
	}
	return l, store.Fault("read a dead letter", err)
}

// Payloads returns those of letters, by their ids. They are in memory at once: ask for few.
func (s *Store) Payloads(ctx context.Context, tenant string, letters []Letter) (map[uuid.UUID][]byte, error) {
	ids := make([][16]byte, len(letters))
	for i := range letters {
		ids[i] = letters[i].LetterID
	}
	rows, err := s.pool.Query(ctx, `select letter_id, payload from dead_letters where tenant = $1 and letter_id = any($2)`, tenant, ids)
	if err != nil {
		return nil, store.Fault("read payloads", err)
	}
	payloads := make(map[uuid.UUID][]byte, len(letters))
	for rows.Next() {
		var id uuid.UUID
		var payload []byte
		if err := rows.Scan((*[16]byte)(&id), &payload); err != nil {
			rows.Close()
			return nil, store.Fault("read payloads", err)
		}
		payloads[id] = payload
	}
	return payloads, store.Fault("read payloads", rows.Err())
}

// List returns up to limit letters of a tenant, newest first, that died before that time
// (zero: all). Payload, Properties, Headers, Deaths and Outcome are left out.
func (s *Store) List(ctx context.Context, tenant string, before time.Time, limit int) ([]Letter, error) {
	rows, err := s.pool.Query(ctx, `select `+summaryColumns+` from dead_letters
		where tenant = $1 and died_at < coalesce($2::timestamptz, 'infinity') order by died_at desc, letter_id desc limit $3`,
		tenant, zeronull.Timestamptz(before), limit)
	if err != nil {
		return nil, store.Fault("list dead letters", err)
	}
	letters, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (l Letter, err error) {
		err = l.scan(row)
		return l, err
	})
	return letters, store.Fault("list dead letters", err)
}

func (l *Letter) scan(from pgx.Row, more ...any) error {
	var digest []byte
	err := from.Scan(append([]any{&l.Tenant, (*[16]byte)(&l.LetterID), (*zeronull.UUID)(&l.CommandID), &l.Client, &l.Device,
		&l.DeviceType, &l.Method, &l.Lane, &l.ID, &l.Redrive, (*zeronull.UUID)(&l.RedriveOf), &l.Reason, &l.Executed, &l.Detail,
		&l.State, &digest, &l.DiedAt, &l.Cause, (*[16]byte)(&l.Group), (*zeronull.UUID)(&l.RedrivenAs), &l.RedriveNumber,
		(*zeronull.UUID)(&l.JobID), (*zeronull.Timestamptz)(&l.Changed), &l.ChangedBy, &l.ChangedWhy}, more...)...)
	copy(l.Digest[:], digest)
	l.DiedAt, l.Changed = l.DiedAt.UTC(), l.Changed.UTC()
	return err
}
