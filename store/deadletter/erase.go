package deadletter

import (
	"context"
	"time"

	"github.com/cupline/cupline/store"
)

// An open letter without its payload is none that anybody could act on. A redrive under way is erased once it is done.
const eraseSQL = `with emptied as (update dead_letters set erased_at = clock_timestamp(), payload = '', properties = '{}', headers = '{}', deaths = '[]',
		outcome = null, edited = null, detail = '', state = case state when 'open' then 'discarded' else state end,
		changed_at = case state when 'open' then clock_timestamp() else changed_at end,
		changed_by = case state when 'open' then $4 else changed_by end,
		changed_why = case state when 'open' then $5 else changed_why end
	where ctid = any(array(select ctid from dead_letters where tenant = $1 and ($2 = '' or client = $2) and died_at <= $3
		and erased_at is null and state <> 'redriving' order by died_at limit $6 for update skip locked))
	returning letter_id),
	notes as (delete from desk_notes where tenant = $1 and subject in (select letter_id from emptied)),
	marks as (delete from desk_marks where tenant = $1 and subject in (select letter_id from emptied))
	select count(*) from emptied`

// What names a group is no client's; of a whole tenant it goes, too.
const eraseGroupsSQL = `with notes as (delete from desk_notes where tenant = $1 and at <= $2),
	marks as (delete from desk_marks where tenant = $1 and changed_at <= $2)
	delete from desk_settlements where tenant = $1 and at <= $2`

// Erase empties up to limit letters of a client, or with an empty client of the whole tenant, that died until then: payload,
// properties, headers, death history, error and outcome; their notes and marks go. What stays is what names and counts them. Open ones are
// discarded. It returns how many.
func (s *Store) Erase(ctx context.Context, tenant, client string, until time.Time, act Act, limit int) (emptied int64, err error) {
	if err := s.pool.QueryRow(ctx, eraseSQL, tenant, client, until, act.actor(), act.why(), limit).Scan(&emptied); err != nil {
		return 0, store.Fault("erase dead letters", err)
	}
	if client == "" && emptied < int64(limit) {
		_, err = s.pool.Exec(ctx, eraseGroupsSQL, tenant, until)
	}
	return emptied, store.Fault("erase what operators wrote of dead letters", err)
}
