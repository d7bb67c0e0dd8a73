-- The tables of Cupline. Every table leads with tenant but the two that are the platform's
-- own: tenants, and lanes.
--
-- Names compare and sort by bytes (collate "C"): page by page, in the lock order of batches,
-- and in every index, whatever the database's own collation is. What clients write (ids, bodies,
-- headers) is bytea, so that no NUL and no encoding can hurt.

create table tenants (
    tenant     text collate "C" primary key,
    name       text not null default '',
    created_at timestamptz not null default now()
);

-- Owner of what names no tenant.
insert into tenants (tenant, name) values ('system', 'Cupline itself');

-- Keys ------------------------------------------------------------------------------------------

create table api_keys (
    tenant       text collate "C" not null references tenants,
    key_id       text collate "C" not null unique,
    client       text collate "C" not null,
    name         text not null,
    hash         bytea not null check (octet_length(hash) = 32),
    scopes       text[] not null,
    created_at   timestamptz not null default now(),
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz,
    primary key (tenant, key_id)
);

create index api_keys_revoked on api_keys (revoked_at) where revoked_at is not null;

create function notify_key() returns trigger language plpgsql as $$
begin
    perform pg_notify('cupline_keys', concat_ws(' ',
        case when new.revoked_at is null then 'changed' else 'revoked' end, new.tenant, new.client, new.key_id));
    return null;
end $$;

-- Not for last_used_at, which changes all the time and concerns nobody.
create trigger api_keys_changed after insert or update of client, hash, scopes, expires_at, revoked_at on api_keys
    for each row execute function notify_key();

-- Registry --------------------------------------------------------------------------------------

create table lanes (
    lane       text collate "C" primary key,
    max_ttl_ms bigint not null,
    max_length bigint not null,
    ledger     boolean not null,
    tenants    text[] not null default '{}',
    updated_at timestamptz not null default now()
);

-- topology.DefaultLane.
insert into lanes (lane, max_ttl_ms, max_length, ledger) values ('default', 3600000, 1000000, true);

create sequence registry_version;

create table device_types (
    tenant         text collate "C" not null references tenants,
    type           text collate "C" not null,
    lane           text collate "C" not null references lanes,
    driver         text collate "C" not null,
    methods        bytea not null, -- JSON: a method's name may hold what jsonb refuses
    all_idempotent boolean not null,
    version        bigint not null default nextval('registry_version'),
    updated_at     timestamptz not null default now(),
    primary key (tenant, type)
);

create index device_types_lane on device_types (lane);

create table devices (
    tenant     text collate "C" not null references tenants,
    device     text collate "C" not null,
    type       text collate "C" not null,
    address    bytea, -- JSON
    labels     bytea, -- JSON
    updated_at timestamptz not null default now(),
    primary key (tenant, device),
    constraint devices_type foreign key (tenant, type) references device_types
);

create index devices_type on devices (tenant, type);

create function notify_registry() returns trigger language plpgsql as $$
declare
    changed record := case when tg_op = 'DELETE' then old else new end;
begin
    perform pg_notify('cupline_registry', case tg_table_name
        when 'lanes' then concat_ws(' ', 'lane', to_jsonb(changed) ->> 'lane')
        when 'device_types' then concat_ws(' ', 'type', to_jsonb(changed) ->> 'tenant', to_jsonb(changed) ->> 'type')
        else concat_ws(' ', 'device', to_jsonb(changed) ->> 'tenant', to_jsonb(changed) ->> 'device')
    end);
    return null;
end $$;

create trigger lanes_changed after insert or update or delete on lanes
    for each row execute function notify_registry();
create trigger device_types_changed after insert or update or delete on device_types
    for each row execute function notify_registry();
create trigger devices_changed after insert or update or delete on devices
    for each row execute function notify_registry();

-- Ledger ----------------------------------------------------------------------------------------

-- Each row is written three times within moments: claimed, decided, delivered. No index has a column
-- that the latter two change, and half of each page is left free, so that they stay on the
-- page and touch no index (HOT).
create table ledger (
    tenant       text collate "C" not null,
    client       text collate "C" not null,
    id           bytea not null,
    redrive      integer not null,
    command_id   uuid not null,
    token        uuid, -- null when it was settled without ever being started
    digest       bytea not null,
    raw_id       bytea,
    device       text collate "C" not null,
    device_type  text collate "C" not null,
    method       text collate "C" not null,
    lane         text collate "C" not null,
    timeout_ms   bigint not null,
    idempotent   boolean not null,
    one_way      boolean not null,
    accepted_at  timestamptz not null,
    deadline_at  timestamptz not null,
    created_at   timestamptz not null default now(),
    started_at   timestamptz,
    outcome      bytea, -- null while open
    origin       text collate "C" not null default '',
    reason       text collate "C" not null default '',
    decided_at   timestamptz,
    delivered_at timestamptz,
    primary key (tenant, client, id, redrive),
    constraint ledger_decided check ((outcome is null) = (decided_at is null)),
    constraint ledger_started check ((token is null) = (started_at is null))
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

-- Command ids are UUIDv7: new ones go to the right edge.
create index ledger_command on ledger (command_id);
-- In order of age, to forget the decided and to find what stays open.
create index ledger_created on ledger (created_at);

-- Mailbox ---------------------------------------------------------------------------------------

-- One row for each client that ever had an outcome here. Whoever changes the mailbox of a client
-- locks this row first, in the order of (tenant, client): so the counts are always right,
-- and a client's outcomes commit in the order of seq.
create table mailbox_clients (
    tenant  text collate "C" not null,
    client  text collate "C" not null,
    waiting bigint not null default 0 check (waiting >= 0),
    bytes   bigint not null default 0 check (bytes >= 0),
    missed  bigint not null default 0,
    "full"  boolean not null default false,
    primary key (tenant, client)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

create index mailbox_clients_full on mailbox_clients (tenant, client) where "full";

create function notify_quota() returns trigger language plpgsql as $$
begin
    perform pg_notify('cupline_quota',
        concat_ws(' ', case when new."full" then 'full' else 'free' end, new.tenant, new.client));
    return null;
end $$;

create trigger mailbox_crossed after update of "full" on mailbox_clients
    for each row when (old."full" is distinct from new."full") execute function notify_quota();

create table mailbox (
    tenant      text collate "C" not null,
    client      text collate "C" not null,
    command_id  uuid not null,
    seq         bigint generated always as identity,
    raw_id      bytea,
    redrive     integer not null,
    device      text collate "C" not null,
    method      text collate "C" not null,
    lane        text collate "C" not null,
    origin      text collate "C" not null,
    reason      text collate "C" not null,
    accepted_at timestamptz not null,
    decided_at  timestamptz not null,
    stored_at   timestamptz not null default now(),
    acked_at    timestamptz,
    missed      boolean not null default false, -- refused for the quota; kept without its response
    size        bigint not null,
    response    bytea not null, -- emptied when acked
    primary key (tenant, client, command_id)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);

create index mailbox_waiting on mailbox (tenant, client, seq) where acked_at is null;
create index mailbox_acked on mailbox (acked_at) where acked_at is not null;
create index mailbox_stored on mailbox (stored_at) where acked_at is null;

-- Dead letters and the audit trail --------------------------------------------------------------

create table dead_letters (
    tenant      text collate "C" not null,
    letter_id   uuid not null,
    identity    bytea not null, -- the command id, or for garbage the digest of the whole message
    command_id  uuid,
    client      text collate "C" not null,
    device      text collate "C" not null,
    device_type text collate "C" not null,
    method      text collate "C" not null,
    lane        text collate "C" not null,
    id          bytea,
    redrive     integer not null,
    redrive_of  uuid,
    reason      text collate "C" not null,
    executed    text collate "C" not null,
    detail      text not null,
    state       text collate "C" not null check (state in ('open', 'redriving', 'redriven', 'discarded')),
    payload     bytea not null,
    properties  bytea not null, -- JSON
    headers     bytea not null, -- JSON
    deaths      bytea not null, -- JSON
    outcome     bytea,
    digest      bytea not null,
    died_at     timestamptz not null,
    redriven_as uuid,
    changed_at  timestamptz,
    changed_by  text,
    changed_why text,
    primary key (tenant, letter_id),
    constraint dead_letters_once unique (tenant, identity)
);

create index dead_letters_died on dead_letters (tenant, died_at);

create table audit_trail (
    tenant     text collate "C" not null,
    at         timestamptz not null,
    seq        bigint generated always as identity,
    stage      text collate "C" not null,
    action     text collate "C" not null,
    actor      text not null,
    reason     text not null,
    client     text not null,
    id         bytea,
    command_id uuid,
    device     text not null,
    method     text not null,
    lane       text not null,
    detail     text not null,
    primary key (tenant, at, seq)
);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'the audit trail is append-only' using errcode = 'insufficient_privilege';
end $$;

create trigger audit_trail_append_only before update or delete or truncate on audit_trail
    for each statement execute function refuse_change();
