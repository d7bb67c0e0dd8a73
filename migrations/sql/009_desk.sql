-- What the desk keeps has an end, too; and commands that nobody ever decided are found.

-- Commands that were open an hour after they came to be known. The ledger has no index on what is open, because a decision
-- would have to change it (docs/decisions/0008): the janitor reads each row once, when it is an hour old, and keeps those
-- that are open here. Whoever reads them looks into the ledger, too: many are decided later.
create table commands_left_open (
    tenant     text collate "C" not null,
    created_at timestamptz not null, -- the ledger's
    command_id uuid not null,
    primary key (tenant, created_at, command_id)
);

-- Up to where the ledger was read for that.
create table ledger_watch (
    one   boolean primary key default true check (one),
    until timestamptz not null
);

select tenant_wall('commands_left_open');
grant select on commands_left_open, ledger_watch to cupline_api;
grant select on commands_left_open to cupline_recorder;
grant select, insert, delete on commands_left_open to cupline_janitor;
grant select, insert, update on ledger_watch to cupline_janitor;

-- Notes and marks go with their letter, or with the last one of their group; settlements and drains with time.
grant select, delete on desk_notes, desk_marks, desk_settlements, lane_drains, erasures to cupline_janitor;
create index lane_drains_finished on lane_drains (finished_at) where finished_at is not null;
create index desk_settlements_at on desk_settlements (tenant, at);

-- A facet without letters is removed. A letter of it may come in that moment: so whoever writes letters shares a lock, which
-- costs no write, and the janitor takes it alone for as long as it looks and removes.
create or replace function count_new_letter() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared(x'637570666163'::bigint); -- "cupfac"
    insert into dead_letter_facets (tenant, group_id, executed, lane, reason, device_type, method, cause)
        values (new.tenant, new.group_id, new.executed, new.lane, new.reason, new.device_type, new.method, new.cause)
        on conflict do nothing;
    insert into dead_letter_changes values
        (new.tenant, date_trunc('minute', new.died_at), new.group_id, new.executed, new.lane, new.state, 1);
    return null;
end $$;

create or replace function count_changed_letter() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared(x'637570666163'::bigint); -- "cupfac"
    insert into dead_letter_facets (tenant, group_id, executed, lane, reason, device_type, method, cause)
        values (new.tenant, new.group_id, new.executed, new.lane, new.reason, new.device_type, new.method, new.cause)
        on conflict do nothing;
    insert into dead_letter_changes values
        (old.tenant, date_trunc('minute', old.died_at), old.group_id, old.executed, old.lane, old.state, -1),
        (new.tenant, date_trunc('minute', new.died_at), new.group_id, new.executed, new.lane, new.state, 1);
    return null;
end $$;
