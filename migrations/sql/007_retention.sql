-- What is kept for how long, and what is erased on request.

-- For how long what has ended is kept, in seconds; null is as for tenant system, whose terms are the
-- platform's, and where those are null as store/retention says.
create table retention (
    tenant     text collate "C" primary key,
    letters    bigint check (letters > 0),
    audit      bigint check (audit > 0),
    ledger     bigint check (ledger > 0),
    mailbox    bigint check (mailbox > 0),
    updated_at timestamptz not null default now(),
    updated_by text not null default ''
);

select tenant_wall('retention');
create policy platform on retention for select to cupline_api using (tenant = 'system');
grant select, insert, update on retention to cupline_api;
grant select, delete on retention to cupline_janitor;

create index dead_letters_resolved on dead_letters (tenant, changed_at) where state in ('redriven', 'discarded');
create index desk_jobs_finished on desk_jobs (tenant, finished_at) where finished_at is not null;
drop index mailbox_stored;
create index mailbox_stored on mailbox (tenant, stored_at) where acked_at is null;

grant select on tenants, lanes to cupline_janitor;
grant select, delete, update on dead_letters to cupline_janitor;
grant insert on dead_letter_facets to cupline_janitor; -- a letter without its error is of another facet
grant select, delete on desk_jobs, desk_job_items to cupline_janitor;
grant select, delete, update (acked_at) on mailbox to cupline_janitor; -- rows are locked, which takes the right to update one column
grant select, update on mailbox_clients to cupline_janitor;

-- Nobody's role may delete from the audit trail. This function may, for the janitor: what is older than
-- the time it is given, and never what is younger than a day.
create or replace function refuse_change() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' and current_setting('cupline.retention', true) = 'ends' then
        return null;
    end if;
    raise exception 'the audit trail is append-only' using errcode = 'insufficient_privilege';
end $$;

create function forget_audit(whose text, before timestamptz, most integer) returns bigint
    language plpgsql security definer set search_path from current as $$
declare
    gone bigint;
begin
    perform set_config('cupline.retention', 'ends', true);
    delete from audit_trail where ctid = any(array(
        select ctid from audit_trail where tenant = whose and at < least(before, now() - interval '1 day') order by at limit most));
    get diagnostics gone = row_count;
    perform set_config('cupline.retention', '', true);
    return gone;
end $$;

revoke execute on function forget_audit(text, timestamptz, integer) from public;
grant execute on function forget_audit(text, timestamptz, integer) to cupline_janitor;

-- Erasure: one client's payloads, or a whole tenant's, on request. The janitor does it.
create table erasures (
    tenant     text collate "C" not null,
    erasure_id uuid not null,
    client     text collate "C" not null, -- empty: all of the tenant's
    state      text collate "C" not null check (state in ('running', 'waiting', 'done')),
    actor      text not null,
    reason     text not null,
    created_at timestamptz not null default clock_timestamp(),
    due_at     timestamptz, -- when what was under way at the beginning has ended, and its traces can go
    finished_at timestamptz,
    letters    bigint not null default 0,
    outcomes   bigint not null default 0,
    commands   bigint not null default 0,
    primary key (tenant, erasure_id)
);

create index erasures_open on erasures (created_at) where state <> 'done';

select tenant_wall('erasures');
grant select, insert on erasures to cupline_api;
grant select, update on erasures to cupline_janitor;

-- When a letter's payload, headers and error were erased.
alter table dead_letters add column erased_at timestamptz;
