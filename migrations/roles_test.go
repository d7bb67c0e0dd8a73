package migrations

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cupline/cupline/chassis/postgrestest"
)

// filled is a migrated database with a row of tenants acme and other in every table.
func filled(t *testing.T) *postgrestest.Database {
	t.Helper()
	database := postgrestest.New(t, func(ctx context.Context, url string) error {
		_, err := Up(ctx, url)
		return err
	})
	pool := database.Pool(t)
	for _, tenant := range []string{"acme", "other"} {
		for _, statement := range []string{
			`insert into tenants (tenant) values ($1)`,
			`insert into api_keys (tenant, key_id, client, name, hash, scopes) values ($1, $1, 'web', '', sha256($1::text::bytea), '{}')`,
			`insert into tickets (tenant, hash, client, key_id, scopes, good_until) values ($1, sha256($1::text::bytea), 'web', 'k', '{}', now())`,
			`insert into device_types (tenant, type, lane, driver, methods, all_idempotent) values ($1, 'lamp', 'default', 'mqtt', '{}', false)`,
			`insert into devices (tenant, device, type) values ($1, 'lamp-1', 'lamp')`,
			`insert into device_credentials (tenant, device, credential, hash) values ($1, 'lamp-1', 'x', sha256('x'))`,
			`insert into ledger (tenant, client, id, redrive, command_id, digest, device, device_type, method, lane, timeout_ms,
				idempotent, one_way, accepted_at, deadline_at) values ($1, 'web', 's:1', 0, gen_random_uuid(), '', 'lamp-1', 'lamp', 'm', 'default',
				1, false, false, now(), now())`,
			`insert into mailbox_clients (tenant, client) values ($1, 'web')`,
			`insert into mailbox (tenant, client, command_id, redrive, device, method, lane, origin, reason, accepted_at, decided_at, size, response)
				values ($1, 'web', gen_random_uuid(), 0, 'lamp-1', 'm', 'default', 'device', '', now(), now(), 2, '{}')`,
			letter,
			`insert into dead_letter_counts select tenant, 1, minute, group_id, executed, lane, state, n from dead_letter_changes where tenant = $1`,
			`insert into desk_jobs (tenant, job_id, kind, state, filter, include_maybe, rate, total, actor, reason)
				values ($1, '00000000-0000-0000-0000-000000000001', 'redrive', 'running', '{}', false, 1, 1, '', '')`,
			`insert into retention (tenant) values ($1)`,
			`insert into erasures (tenant, erasure_id, client, state, actor, reason) values ($1, gen_random_uuid(), '', 'running', '', '')`,
			`insert into desk_job_items (tenant, job_id, position, letter_id) values ($1, '00000000-0000-0000-0000-000000000001', 1, gen_random_uuid())`,
			`insert into desk_marks (tenant, subject, is_group, changed_by) values ($1, gen_random_uuid(), false, '')`,
			`insert into desk_notes (tenant, subject, note_id, actor, note) values ($1, gen_random_uuid(), gen_random_uuid(), '', '')`,
			`insert into desk_settlements (tenant, command_id, actor, reason) values ($1, gen_random_uuid(), '', '')`,
			`insert into commands_left_open (tenant, created_at, command_id) values ($1, now(), gen_random_uuid())`,
			entry,
		} {
			if _, err := pool.Exec(t.Context(), statement, tenant); err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
		}
	}
	return database
}

const (
	letter = `insert into dead_letters (tenant, letter_id, identity, client, device, device_type, method, lane, redrive, reason, executed, detail,
		state, payload, properties, headers, deaths, digest, died_at) values ($1, gen_random_uuid(), gen_random_uuid()::text::bytea, 'web', 'lamp-1',
		'lamp', 'm', 'default', 0, 'expired', 'no', '', 'open', '', '{}', '{}', '[]', '', now())`
	entry = `insert into audit_trail (tenant, at, stage, action, actor, reason, client, device, method, lane, detail)
		values ($1, now(), 'intake', 'x', '', '', '', '', '', '', '')`
)

// as runs statements as a member of roles, with cupline.tenant set where tenant is not empty.
func as(t *testing.T, database *postgrestest.Database, tenant string, roles ...Role) *pgx.Conn {
	t.Helper()
	var names []string
	for _, role := range roles {
		names = append(names, string(role))
	}
	conn, err := pgx.Connect(t.Context(), database.As(t, names...).URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	if tenant != "" {
		if _, err := conn.Exec(t.Context(), "select set_config('cupline.tenant', $1, false)", tenant); err != nil {
			t.Fatal(err)
		}
	}
	return conn
}

func state(err error) string {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}

const refused = "42501" // insufficient_privilege, which row-level security answers with, too

// Tables with a tenant; all but lanes, registry_version and the migrations' own.
func tables(t *testing.T, conn *pgx.Conn) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), `select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid
		where c.relkind in ('r', 'p') and c.relnamespace = current_schema()::regnamespace and a.attname = 'tenant' and not c.relispartition
		order by 1`)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(names) < 12 {
		t.Fatalf("%v, %v", names, err)
	}
	return names
}

// Whatever a statement of api's asks for, it sees and changes the rows of the connection's tenant.
func TestAPISeesOneTenant(t *testing.T) {
	t.Parallel()
	database := filled(t)
	nobody, acme, all := as(t, database, "", API), as(t, database, "acme", API), as(t, database, "*", API)
	count := func(conn *pgx.Conn, query string) (n int) {
		t.Helper()
		if err := conn.QueryRow(t.Context(), query).Scan(&n); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		return n
	}
	for _, table := range tables(t, acme) {
		var granted bool
		if err := acme.QueryRow(t.Context(), "select has_table_privilege($1, 'select')", table).Scan(&granted); err != nil || !granted {
			continue // api has no business there at all
		}
		whole := "select count(*) from " + table
		if n := count(nobody, whole); n != 0 {
			t.Errorf("%s: without a tenant api sees %d rows", table, n)
		}
		if own, n := count(acme, whole+" where tenant = 'acme'"), count(acme, whole); n == 0 || n != own {
			t.Errorf("%s: acme sees %d rows, %d of its own", table, n, own)
		}
		if n := count(acme, whole+" where tenant = 'other'"); n != 0 {
			t.Errorf("%s: acme sees %d rows of the other", table, n)
		}
		if n := count(all, whole+" where tenant in ('acme', 'other')"); n < 2 {
			t.Errorf("%s: for every tenant api sees %d rows", table, n)
		}
	}
	for _, statement := range []string{
		`update tenants set name = 'x' where tenant = 'other'`, `delete from tenants where tenant = 'other'`,
		`update api_keys set revoked_at = now() where tenant = 'other'`, `update devices set type = type where tenant = 'other'`,
		`delete from devices where tenant = 'other'`, `delete from device_types where tenant = 'other'`,
		`update ledger set delivered_at = now() where tenant = 'other'`, `update mailbox set acked_at = now() where tenant = 'other'`,
		`update mailbox_clients set waiting = 9 where tenant = 'other'`, `update dead_letters set state = 'open' where tenant = 'other'`,
		`update desk_jobs set rate = 9 where tenant = 'other'`, `update desk_job_items set detail = 'x' where tenant = 'other'`,
	} {
		if tag, err := acme.Exec(t.Context(), statement); err != nil || tag.RowsAffected() != 0 {
			t.Errorf("%s: %v, %v", statement, tag, err)
		}
	}
	for _, statement := range []string{
		`insert into tenants (tenant) values ('third')`,
		`insert into devices (tenant, device, type) values ('other', 'lamp-2', 'lamp')`,
		`update devices set tenant = 'other' where tenant = 'acme'`,
		`update dead_letters set tenant = 'other' where tenant = 'acme'`,
		strings.ReplaceAll(entry, "$1", "'other'"),
	} {
		if _, err := acme.Exec(t.Context(), statement); state(err) != refused {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

// What each role may not do, and, so that the test can fail, what it may.
func TestRolesMayDoWhatTheyNeed(t *testing.T) {
	t.Parallel()
	database := filled(t)
	everybody := []string{
		`update audit_trail set detail = 'x'`, `delete from audit_trail`, `truncate audit_trail`, `drop table audit_trail`,
		`alter table audit_trail disable trigger all`, `alter table ledger disable row level security`, `create table mine (x int)`,
		`select * from cupline_migrations`, `insert into lanes (lane, max_ttl_ms, max_length, ledger) values ('x', 1, 1, true)`,
		`delete from lanes`, `update api_keys set scopes = '{}'`, `update api_keys set hash = hash`, `delete from api_keys`, `truncate ledger`,
		`select tenant_wall('ledger')`, `create role intruder`,
	}
	keyless := []string{`select * from api_keys`, `select * from tickets`, `insert into tenants (tenant) values ('x')`, `update devices set type = type`}
	for _, c := range []struct {
		role        Role
		may, mayNot []string
	}{
		{API,
			[]string{`select 1 from lanes for share`, `update api_keys set revoked_at = now()`, `insert into devices (tenant, device, type) values ('acme', 'l', 'lamp')`},
			[]string{`insert into ledger select * from ledger`, `update ledger set outcome = ''`, `delete from ledger`, `delete from dead_letters`, `delete from mailbox`,
				`insert into mailbox_clients (tenant, client) values ('acme', 'x')`, `update lanes set max_ttl_ms = 1`, strings.ReplaceAll(letter, "$1", "'acme'")}},
		{Dispatcher,
			[]string{`select * from devices`, `update ledger set reason = 'x'`, strings.ReplaceAll(entry, "$1", "'other'")},
			append([]string{`select * from mailbox`, `select * from dead_letters`, `select * from audit_trail`, `delete from ledger`}, keyless...)},
		{Recorder,
			[]string{`update ledger set reason = 'y'`, strings.ReplaceAll(letter, "$1", "'other'"), strings.ReplaceAll(entry, "$1", "'other'")},
			append([]string{`select * from mailbox`, `update dead_letters set state = 'open'`, `delete from dead_letters`, `select * from audit_trail`, `delete from ledger`}, keyless...)},
		{Pusher,
			[]string{`select * from api_keys`, `select tenant from tenants`, `delete from tickets where tenant = 'other'`, `delete from mailbox where tenant = 'other'`, `update ledger set delivered_at = now()`, strings.ReplaceAll(letter, "$1", "'system'")},
			[]string{`select * from devices`, `select * from tenants`, `update ledger set outcome = ''`, `insert into api_keys select * from api_keys`, `select * from audit_trail`,
				strings.ReplaceAll(letter, "$1", "'acme'"), `update dead_letters set state = 'open'`}},
		{Janitor,
			[]string{`delete from ledger where tenant = 'other'`, strings.ReplaceAll(entry, "$1", "'other'")},
			append([]string{`update ledger set reason = ''`, `insert into ledger select * from ledger`}, keyless...)},
	} {
		conn := as(t, database, "*", c.role)
		for _, statement := range c.may {
			if tag, err := conn.Exec(t.Context(), statement); err != nil || tag.RowsAffected() == 0 {
				t.Errorf("%s: %s: %v, %v", c.role, statement, tag, err)
			}
		}
		for _, statement := range slices.Concat(c.mayNot, everybody) {
			if _, err := conn.Exec(t.Context(), statement); state(err) != refused {
				t.Errorf("%s: %s: %v", c.role, statement, err)
			}
		}
	}
}

// A table that a later migration makes must not stand outside of the wall.
func TestEveryTableOfTenantsIsWalled(t *testing.T) {
	t.Parallel()
	conn := as(t, filled(t), "", API)
	for _, table := range tables(t, conn) {
		var walled bool
		if err := conn.QueryRow(t.Context(), `select relrowsecurity from pg_class where oid = $1::regclass`, table).Scan(&walled); err != nil || !walled {
			t.Errorf("%s has no row-level security: see README.md (%v)", table, err)
		}
	}
}

// Where the migrating user may not create roles, it says what an administrator has to run.
func TestMissingRolesAreNamed(t *testing.T) {
	t.Parallel()
	files, err := embeddedFiles()
	if err != nil {
		t.Fatal(err)
	}
	prefix := "r" + strings.ToLower(rand.Text()[:12]) + "_" // no other test has roles of these names
	for i := range files {
		files[i].sql = strings.ReplaceAll(files[i].sql, "cupline_", prefix)
	}
	database := postgrestest.New(t, nil)
	owner := database.As(t)
	pool := database.Pool(t)
	if _, err := pool.Exec(t.Context(), "grant all on schema public to "+userOf(t, owner.URL())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := pool.Exec(context.Background(), "drop owned by "+userOf(t, owner.URL())+" cascade"); err != nil {
			t.Error(err)
		}
	})
	applied, err := up(t.Context(), owner.URL(), files)
	want := "create role " + prefix + "api nologin; create role " + prefix + "dispatcher nologin;"
	if len(applied) != 2 || err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("applied %v: %v", applied, err)
	}
	for _, role := range []Role{API, Dispatcher, Recorder, Pusher, Janitor} {
		name := strings.Replace(string(role), "cupline_", prefix, 1)
		if _, err := pool.Exec(t.Context(), "create role "+name+" nologin"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if _, err := pool.Exec(context.Background(), "drop owned by "+name+"; drop role "+name); err != nil {
				t.Error(err)
			}
		})
	}
	if applied, err = up(t.Context(), owner.URL(), files); err != nil || len(applied) != len(files)-2 {
		t.Errorf("applied %v: %v", applied, err)
	}
}

func userOf(t *testing.T, url string) string {
	t.Helper()
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	return cfg.User
}

func TestAdmit(t *testing.T) {
	t.Parallel()
	database := filled(t)
	name := "login_" + strings.ToLower(rand.Text()[:12])
	with := func(password string) string {
		return strings.Replace(database.URL(), passwordOf(t, database.URL()), name+":"+password, 1)
	}
	t.Cleanup(func() {
		if _, err := database.Pool(t).Exec(context.Background(), "drop role if exists "+name); err != nil {
			t.Error(err)
		}
	})
	for _, password := range []string{"first", "sec'ond~%24"} {
		login := Login{Name: name, Password: password, Roles: []Role{Dispatcher, Recorder}}
		if err := Admit(t.Context(), database.URL(), login); err != nil {
			t.Fatal(err)
		}
		conn, err := pgx.Connect(t.Context(), with(strings.ReplaceAll(password, "%", "%25")))
		if err != nil {
			t.Fatal(err)
		}
		var member bool
		if err := conn.QueryRow(t.Context(), "select pg_has_role('cupline_dispatcher', 'member') and pg_has_role('cupline_recorder', 'member') and not pg_has_role('cupline_api', 'member')").Scan(&member); err != nil || !member {
			t.Errorf("member: %v, %v", member, err)
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if conn, err := pgx.Connect(t.Context(), with("first")); err == nil {
		_ = conn.Close(t.Context())
		t.Error("the old password is still good")
	}
	for _, wrong := range []Login{{Name: "", Password: "x"}, {Name: name}, {Name: name, Password: "\u00e9"}, {Name: userOf(t, database.URL()), Password: "x"}} {
		if err := Admit(t.Context(), database.URL(), wrong); !errors.Is(err, ErrLogin) {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
}

// passwordOf is user:password of a URL.
func passwordOf(t *testing.T, url string) string {
	t.Helper()
	_, rest, _ := strings.Cut(url, "//")
	credentials, _, found := strings.Cut(rest, "@")
	if !found {
		t.Fatal("no credentials")
	}
	return credentials
}
