package suite

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/verify/history"
)

// held asks the database for everything that the checker wants to know. Each query gives the
// columns of scan.
var held = map[history.Kind]string{
	history.Ledger: `select tenant, client, coalesce(raw_id, ''::bytea), command_id::text, device, method, origin, reason, '',
		one_way, outcome is not null, delivered_at is not null, redrive, '', '', '', null::timestamptz from ledger`,
	history.Mailbox: `select tenant, client, coalesce(raw_id, ''::bytea), command_id::text, device, method, origin, reason, '',
		false, true, acked_at is not null, redrive, '', '', '', null::timestamptz from mailbox`,
	history.Letter: `select tenant, client, coalesce(id, ''::bytea), coalesce(command_id::text, ''), device, method, '', reason, state,
		false, true, false, coalesce(redrive_number, 0), executed, coalesce(redriven_as::text, ''), coalesce(changed_why, ''), null::timestamptz
		from dead_letters`,
	history.Audit: `select tenant, client, coalesce(id, ''::bytea), coalesce(command_id::text, ''), device, method, '', reason, stage,
		false, true, false, 0, '', '', '', at from audit_trail`,
}

// collect writes down what database, devices and broker hold.
func (s *site) collect(ctx context.Context, log *history.Log) error {
	connection, err := pgx.Connect(ctx, s.Database.URL())
	if err != nil {
		return fmt.Errorf("look into the database: %w", err)
	}
	defer connection.Close(ctx)
	for kind, query := range held {
		rows, err := connection.Query(ctx, query)
		if err != nil {
			return fmt.Errorf("read the %s: %w", kind, err)
		}
		var id []byte
		var at *time.Time
		e := history.Event{}
		_, err = pgx.ForEachRow(rows, []any{
			&e.Tenant, &e.Client, &id, &e.CommandID, &e.Device, &e.Method, &e.Origin, &e.Reason, &e.Name,
			&e.OneWay, &e.Decided, &e.Delivered, &e.Redrive, &e.Executed, &e.As, &e.Detail, &at,
		}, func() error {
			e.Kind, e.ID, e.At = kind, rawID(id), time.Time{}
			if at != nil {
				e.At = *at
			}
			log.Add(e)
			return nil
		})
		if err != nil {
			return fmt.Errorf("read the %s: %w", kind, err)
		}
	}
	for i := range tenants {
		if err := s.executions(tenantName(i), log); err != nil {
			return err
		}
	}
	return nil
}

// rawID is a client's id as the client wrote it, where only its value is kept: the load's are strings.
func rawID(kept []byte) string {
	if text, isKey := strings.CutPrefix(string(kept), "s:"); isKey {
		return strconv.Quote(text)
	}
	return string(kept)
}

// executions are those of a real agent, by its own notes.
func (s *site) executions(tenant string, log *history.Log) error {
	for _, name := range []string{"executions.log.1", "executions.log"} {
		file, err := os.Open(filepath.Join(s.state(tenant), name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read what the agent of %s executed: %w", tenant, err)
		}
		for lines := bufio.NewScanner(file); lines.Scan(); {
			var entry struct {
				At        time.Time `json:"at"`
				CommandID string    `json:"command_id"`
				Method    string    `json:"method"`
			}
			if json.Unmarshal(lines.Bytes(), &entry) == nil {
				log.Add(history.Event{At: entry.At, Kind: history.Execution, Tenant: tenant, Device: agentName, CommandID: entry.CommandID, Method: entry.Method})
			}
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	return nil
}

// unfinished counts what is not yet at its end in the database, and in the broker's queues.
func (s *site) unfinished(ctx context.Context) (rows int, queues []history.Event, err error) {
	connection, err := pgx.Connect(ctx, s.Database.URL())
	if err != nil {
		return 0, nil, fmt.Errorf("look into the database: %w", err)
	}
	defer connection.Close(ctx)
	err = connection.QueryRow(ctx, `select (select count(*) from ledger where outcome is null)
		+ (select count(*) from mailbox m where acked_at is null and not exists (
			select from ledger l where l.command_id = m.command_id and l.delivered_at is not null)) -- those are copies
		+ (select count(*) from dead_letters where state = 'redriving')
		+ (select count(*) from desk_jobs where state = 'running')`).Scan(&rows)
	if err != nil {
		return 0, nil, fmt.Errorf("look into the database: %w", err)
	}
	queues, err = s.queues(ctx)
	return rows, queues, err
}

// queues of Cupline in the broker.
func (s *site) queues(ctx context.Context) ([]history.Event, error) {
	var listed []struct {
		Name     string `json:"name"`
		Messages int    `json:"messages"`
		Stuck    int    `json:"messages_dlx"`
	}
	if err := s.manage(ctx, "/api/queues/%2F", &listed); err != nil {
		return nil, err
	}
	var queues []history.Event
	for _, q := range listed {
		if strings.HasPrefix(q.Name, "cupline.") {
			queues = append(queues, history.Event{Kind: history.Queue, Name: q.Name, Count: q.Messages, Stuck: q.Stuck})
		}
	}
	return queues, nil
}

// bindings of clients.
func (s *site) bindings(ctx context.Context) ([]history.Event, error) {
	var listed []struct {
		Key  string `json:"routing_key"`
		Slot string `json:"destination"`
	}
	if err := s.manage(ctx, "/api/exchanges/%2F/cupline.clients/bindings/source", &listed); err != nil {
		return nil, err
	}
	var bindings []history.Event
	for _, b := range listed {
		bindings = append(bindings, history.Event{Kind: history.Binding, Name: b.Key + " to " + b.Slot})
	}
	return bindings, nil
}

// manage asks the broker's management API.
func (s *site) manage(ctx context.Context, path string, into any) error {
	if err := get(ctx, s.Broker.ManagementURL()+path, into); err != nil {
		return fmt.Errorf("ask the broker for %s: %w", path, err)
	}
	return nil
}

// get reads JSON.
func get(ctx context.Context, address string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(into)
}
