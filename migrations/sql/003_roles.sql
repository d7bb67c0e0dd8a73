-- Who may do what. Each service logs in as a user of its own that is a member of one of these
-- roles (a dispatcher with both of its own roles of two of them); tables belong to the user that
-- migrates. README.md beside this file says what a later migration has to do.
--
-- Roles belong to the whole server: another database of it may have made them.

do $$
declare
    wanted constant text[] := array['cupline_api', 'cupline_dispatcher', 'cupline_recorder', 'cupline_pusher', 'cupline_janitor'];
    missing text[] := array(select w from unnest(wanted) as w where not exists (select from pg_roles where rolname = w));
    role text;
begin
    foreach role in array missing loop
        begin
            execute format('create role %I nologin', role);
        exception
            when duplicate_object or unique_violation then null; -- made in this moment, for another database
            when insufficient_privilege then
                raise exception using errcode = 'insufficient_privilege', message = format(
                    'roles are missing that %I may not create; let an administrator of the server run: %s', current_user,
                    (select string_agg(format('create role %I nologin;', m), ' ') from unnest(missing) as m));
        end;
    end loop;
end $$;

do $$
begin
    -- As it is from PostgreSQL 15 on.
    execute format('revoke create on schema %I from public', current_schema());
    execute format('grant usage on schema %I to cupline_api, cupline_dispatcher, cupline_recorder, cupline_pusher, cupline_janitor', current_schema());
end $$;

-- Keys and tickets ----------------------------------------------------------------------------

-- Queues are cupline.<kind>.<name>: a tenant or a lane of that name would read as one of them.
-- Not valid: one that is there already does not stop the migration.
alter table tenants add constraint tenants_reserved check (tenant <> 'cupline') not valid;
alter table lanes add constraint lanes_reserved check (lane <> 'cupline') not valid;

alter table api_keys
    -- A key narrowed to devices reaches those whose id matches the pattern (* is any run of characters)
    -- and that have all of the labels; empty: every device of its tenant.
    add column device_pattern text collate "C" not null default '',
    add column device_labels bytea, -- JSON
    -- The key in whose place this one came; both are good until that one's time is over.
    add column replaces text collate "C";

-- What may be shown in a URL: good once, and for seconds. Only a hash is kept, as of keys.
create table tickets (
    tenant       text collate "C" not null,
    hash         bytea not null check (octet_length(hash) = 32),
    client       text collate "C" not null,
    -- Whose right it is: a key's id, or the subject of a token.
    key_id       text not null,
    scopes       text[] not null,
    device_pattern text collate "C" not null default '',
    device_labels bytea,
    -- The end of that right; null for never.
    expires_at   timestamptz,
    good_until   timestamptz not null,
    primary key (tenant, hash),
    constraint tickets_hash unique (hash) -- it is found before its tenant is known
);

create index tickets_over on tickets (good_until);

-- What each needs, and nothing else. The statements are those of the packages in store/.

-- api: locks lanes to share them, which Postgres takes for an update.
grant select, insert, update (name), delete on tenants to cupline_api;
grant select, insert, update (name, expires_at, revoked_at, last_used_at) on api_keys to cupline_api;
grant select, update (updated_at) on lanes to cupline_api;
grant select, insert, update, delete on device_types, devices to cupline_api;
grant usage on sequence registry_version to cupline_api;
grant select, update (delivered_at) on ledger to cupline_api;
grant select, update on mailbox_clients to cupline_api;
grant select, update (acked_at, response) on mailbox to cupline_api;
grant select, update on dead_letters to cupline_api;
grant select, insert, update on desk_jobs, desk_job_items to cupline_api;
grant select, insert on audit_trail to cupline_api;
grant select, insert, delete on tickets to cupline_api;

-- dispatcher: late answers are audited.
grant select on lanes, device_types, devices to cupline_dispatcher;
grant select, insert, update on ledger to cupline_dispatcher;
grant insert on audit_trail to cupline_dispatcher;

-- recorder: a letter that comes again is found by a conflict; one of no known tenant is the system's.
grant select (tenant) on tenants to cupline_recorder;
grant select on lanes, device_types, devices to cupline_recorder;
grant select, insert, update on ledger to cupline_recorder;
grant select, insert, update (detail) on dead_letters to cupline_recorder;
grant insert on audit_trail to cupline_recorder;

-- pusher: verifies keys, tokens and tickets; keeps mailboxes, their retention included; parks what it
-- cannot read.
grant select (tenant) on tenants to cupline_pusher;
grant select, delete on tickets to cupline_pusher;
grant select, update (last_used_at) on api_keys to cupline_pusher;
grant select, insert, update on mailbox_clients to cupline_pusher;
grant select, insert, update, delete on mailbox to cupline_pusher;
grant select, update (delivered_at) on ledger to cupline_pusher;
grant select, insert, update (detail) on dead_letters to cupline_pusher;
grant insert on audit_trail to cupline_pusher;

-- janitor: ends retention. What it deletes is granted where its work is.
grant select, delete on ledger to cupline_janitor;
grant insert on audit_trail to cupline_janitor;

-- Row-level security --------------------------------------------------------------------------

-- The second wall: api sees the rows of the tenant that its connection was given
-- (cupline.tenant), whatever a statement asks for; none where it was given none. Keys before
-- their tenant is known, and work that is taken up for all tenants, say '*'. The workers write for
-- all tenants in one batch, so they see every row. The tables' owner is not held by it.
create function tenant_wall(around regclass) returns void language plpgsql as $$
begin
    execute format('alter table %s enable row level security', around);
    -- The subselects are run once for a statement, not for each row.
    execute format('create policy own_tenant on %s to cupline_api using (
        tenant = (select current_setting(''cupline.tenant'', true)) or (select current_setting(''cupline.tenant'', true)) = ''*'')', around);
    execute format('create policy every_tenant on %s to cupline_dispatcher, cupline_recorder, cupline_janitor using (true)', around);
end $$;

revoke execute on function tenant_wall(regclass) from public;

select tenant_wall(name::regclass) from unnest(array['tenants', 'api_keys', 'tickets', 'device_types', 'devices', 'ledger',
    'mailbox_clients', 'mailbox', 'dead_letters', 'desk_jobs', 'desk_job_items', 'audit_trail']) as name;

create policy pusher on tenants to cupline_pusher using (true);
create policy pusher on tickets to cupline_pusher using (true);
create policy pusher on api_keys to cupline_pusher using (true);
create policy pusher on mailbox_clients to cupline_pusher using (true);
create policy pusher on mailbox to cupline_pusher using (true);
create policy pusher on ledger to cupline_pusher using (true);
create policy pusher on audit_trail to cupline_pusher using (true);
-- What it parks named no tenant.
create policy pusher on dead_letters to cupline_pusher using (tenant = 'system');
