package deadletter

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/store"
)

// Ages of dead letters that are told apart when they are counted.
const (
	AgeHour  = "1h"
	AgeDay   = "1d"
	AgeOlder = "older"
)

// Count is how many letters of all tenants are in a state, for a reason, and of an age.
type Count struct {
	State  string
	Reason string
	Age    string
	N      int64
	// Oldest of them, for how long it has been dead, in the database's own time.
	Oldest time.Duration
}

const censusSQL = `select state, reason,
		case when died_at > now() - interval '1 hour' then '` + AgeHour + `' when died_at > now() - interval '1 day' then '` + AgeDay + `'
			else '` + AgeOlder + `' end as age,
		count(*), greatest(extract(epoch from now() - min(died_at)), 0)::float8
	from dead_letters where state in ('open', 'redriving') group by 1, 2, 3`

// Census counts the letters of all tenants that are open or being redriven. It reads all of
// those, and is for figures that are looked at now and then.
func (s *Store) Census(ctx context.Context) ([]Count, error) {
	rows, err := s.pool.Query(store.ForEveryTenant(ctx), censusSQL)
	if err != nil {
		return nil, store.Fault("count dead letters", err)
	}
	counts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c Count, err error) {
		var seconds float64
		err = row.Scan(&c.State, &c.Reason, &c.Age, &c.N, &seconds)
		c.Oldest = time.Duration(seconds * float64(time.Second))
		return c, err
	})
	return counts, store.Fault("count dead letters", err)
}
