-- What operators search, group and act by.

-- An error without what differs from one letter to the next: ids, quoted values, numbers. One
-- incident then reads as one line.
create function letter_cause(detail text) returns text language sql immutable strict parallel safe as $$
    select left(regexp_replace(regexp_replace(regexp_replace(detail,
        '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}', '<id>', 'g'),
        '"[^"]*"', '"..."', 'g'),
        '[0-9]+', '#', 'g'), 200)
$$;

-- Generated, so that a service of the release before writes them too.
alter table dead_letters
    add column cause text collate "C" not null generated always as (letter_cause(detail)) stored,
    add column group_id uuid not null generated always as (
        md5(reason || E'\x1f' || device_type || E'\x1f' || method || E'\x1f' || letter_cause(detail))::uuid) stored,
    -- A redrive under way or done: its number, the ledger's key of its id (null: one-way), and
    -- all that its envelope needs, so that a restart publishes the same one.
    add column redrive_number integer,
    add column redrive_key bytea,
    add column plan bytea, -- JSON
    add column leased_until timestamptz,
    add column job_id uuid;

-- Two letters of one client's id never get the same redrive number: the ledger's key has it.
create unique index dead_letters_redrive on dead_letters (tenant, client, redrive_key, redrive_number)
    where redrive_key is not null;
-- Redrives to take up again after a restart.
create index dead_letters_redriving on dead_letters (leased_until) where state = 'redriving';
create index dead_letters_origin on dead_letters (tenant, redrive_of) where redrive_of is not null;

-- Newest first within any one field; the second field of a pair is checked on the way.
drop index dead_letters_died;
create index dead_letters_died on dead_letters (tenant, died_at, letter_id);
create index dead_letters_state on dead_letters (tenant, state, died_at, letter_id);
create index dead_letters_reason on dead_letters (tenant, reason, died_at, letter_id);
create index dead_letters_device on dead_letters (tenant, device, died_at, letter_id);
create index dead_letters_method on dead_letters (tenant, method, died_at, letter_id);
create index dead_letters_client on dead_letters (tenant, client, died_at, letter_id);
create index dead_letters_group on dead_letters (tenant, group_id, died_at, letter_id);

create index audit_trail_command on audit_trail (tenant, command_id, at) where command_id is not null;

-- Jobs over many letters. The letters are chosen once, when the job is made, so that it ends,
-- and so that a restart goes on where it stood.
create table desk_jobs (
    tenant        text collate "C" not null,
    job_id        uuid not null,
    kind          text collate "C" not null check (kind in ('redrive', 'discard')),
    state         text collate "C" not null check (state in ('running', 'paused', 'cancelled', 'done')),
    filter        bytea not null, -- JSON, as it was asked for
    include_maybe boolean not null,
    rate          integer not null, -- letters a second
    total         bigint not null,
    actor         text not null,
    reason        text not null,
    created_at    timestamptz not null default clock_timestamp(),
    finished_at   timestamptz,
    lease_owner   uuid,
    leased_until  timestamptz,
    primary key (tenant, job_id)
);

create index desk_jobs_running on desk_jobs (created_at) where state = 'running';

create table desk_job_items (
    tenant    text collate "C" not null,
    job_id    uuid not null,
    position  bigint not null,
    letter_id uuid not null,
    result    text collate "C" not null default '', -- empty while it waits
    detail    text not null default '',
    done_at   timestamptz,
    primary key (tenant, job_id, position),
    foreign key (tenant, job_id) references desk_jobs on delete cascade
) with (fillfactor = 70);
