-- What operators do beyond sending one letter again or letting it go: jobs that watch their
-- outcomes, edited params, marks and notes, pauses, drains, and rows that nobody will ever decide.

alter table desk_jobs
    drop constraint desk_jobs_kind_check,
    add constraint desk_jobs_kind_check check (kind in ('redrive', 'discard', 'undo')),
    add column include_held boolean not null default false,
    -- How many letters go first and are waited for; due until they were judged, or somebody let the rest go.
    add column canary integer not null default 0,
    add column canary_due boolean not null default false,
    -- The job stops itself once more than stop_above percent of stop_after or more outcomes are failures.
    -- Only items behind judged_from count.
    add column stop_above integer not null default 100,
    add column stop_after integer not null default 0,
    add column judged_from bigint not null default 0,
    -- Why it stopped itself; empty when it did not.
    add column stopped text not null default '';

alter table desk_job_items
    -- What the letter was sent again as, until when its outcome is waited for, and what it came to.
    add column command_id uuid,
    add column due_at timestamptz,
    add column outcome text collate "C" not null default '',
    add column outcome_at timestamptz;

create index desk_job_items_awaited on desk_job_items (due_at) where command_id is not null and outcome = '';

alter table dead_letters
    -- The request as it was sent again, when its params were edited; payload stays as it came.
    add column edited bytea;

-- None of these has a letter when it is written: the recorder pays nothing for them.
create index dead_letters_job on dead_letters (tenant, job_id) where job_id is not null;
create index dead_letters_again on dead_letters (tenant, died_at, letter_id) where redrive > 0;

-- Marks: who looks after a letter or a group of letters, and tags. subject is the letter's id, or the group's.
create table desk_marks (
    tenant     text collate "C" not null,
    subject    uuid not null,
    is_group   boolean not null,
    assignee   text not null default '',
    tags       text[] not null default '{}',
    changed_at timestamptz not null default clock_timestamp(),
    changed_by text not null,
    primary key (tenant, subject)
);

create index desk_marks_tags on desk_marks using gin (tags);
create index desk_marks_assignee on desk_marks (tenant, assignee) where assignee <> '';

create table desk_notes (
    tenant  text collate "C" not null,
    subject uuid not null,
    note_id uuid not null,
    at      timestamptz not null default clock_timestamp(),
    actor   text not null,
    note    text not null,
    primary key (tenant, subject, note_id)
);

-- Open ledger rows that operators have given to the recorder. One at a time may, until the claim is too old.
create table desk_settlements (
    tenant     text collate "C" not null,
    command_id uuid not null,
    at         timestamptz not null default clock_timestamp(),
    actor      text not null,
    reason     text not null,
    primary key (tenant, command_id)
);

-- Pauses ----------------------------------------------------------------------------------------

alter table lanes
    add column paused_at timestamptz,
    add column paused_by text not null default '',
    add column paused_why text not null default '';

alter table devices
    add column paused_at timestamptz,
    add column paused_by text not null default '',
    add column paused_why text not null default '';

-- A lane's backlog on its way to the recorder. While one runs, the lane's dispatchers take nothing.
create table lane_drains (
    drain_id     uuid primary key,
    lane         text collate "C" not null references lanes on delete cascade,
    state        text collate "C" not null check (state in ('running', 'cancelled', 'done')),
    rate         integer not null, -- commands a second
    total        bigint, -- that waited when it began; null until that is known
    done         bigint not null default 0,
    actor        text not null,
    reason       text not null,
    created_at   timestamptz not null default clock_timestamp(),
    finished_at  timestamptz,
    lease_owner  uuid,
    leased_until timestamptz
);

-- One at a time for a lane.
create unique index lane_drains_running on lane_drains (lane) where state = 'running';

create function notify_drain() returns trigger language plpgsql as $$
begin
    perform pg_notify('cupline_registry', concat_ws(' ', 'lane', new.lane));
    return null;
end $$;

create trigger lane_drains_changed after insert or update of state on lane_drains
    for each row execute function notify_drain();

-- The audit trail is searched by what letters are searched by.
alter table audit_trail add column device_type text collate "C" not null default '';

-- Who may do it ---------------------------------------------------------------------------------

grant select, insert, update, delete on desk_marks to cupline_api;
grant select, insert on desk_notes to cupline_api;
grant select, insert, update on desk_settlements to cupline_api;
grant update (paused_at, paused_by, paused_why) on lanes to cupline_api;
grant select, insert, update on lane_drains to cupline_api;
grant select on lane_drains to cupline_dispatcher;
grant select, update on lane_drains to cupline_recorder;

select tenant_wall(name::regclass) from unnest(array['desk_marks', 'desk_notes', 'desk_settlements']) as name;
