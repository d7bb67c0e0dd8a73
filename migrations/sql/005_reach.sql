-- Reach: what operators ask of a million letters, answered at once; and what is kept, and for how long.

-- What letters have in common, one row for each combination that there ever was. It is small, and
-- says which combinations of filters can meet at all.
create table dead_letter_facets (
    tenant      text collate "C" not null,
    group_id    uuid not null, -- reason, device type, method and cause
    executed    text collate "C" not null,
    lane        text collate "C" not null,
    reason      text collate "C" not null,
    device_type text collate "C" not null,
    method      text collate "C" not null,
    cause       text collate "C" not null,
    primary key (tenant, group_id, executed, lane)
);

-- How many letters died in each minute, hour, day, week and 52 weeks, by facet and state. Minutes are
-- kept for some days only: store/deadletter.
create table dead_letter_counts (
    tenant   text collate "C" not null,
    width    integer not null check (width in (1, 60, 1440, 10080, 524160)), -- of the bucket, in minutes
    bucket   timestamptz not null, -- when it begins: a multiple of the width from the year 1 on, in UTC
    group_id uuid not null,
    executed text collate "C" not null,
    lane     text collate "C" not null,
    state    text collate "C" not null,
    n        bigint not null,
    primary key (tenant, width, bucket, group_id, executed, lane, state)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

-- Changes of those counts that are not in them yet: the letters of one incident would wait for each
-- other if each had to change the same count. The janitor adds them up every few seconds, and
-- whoever reads counts adds the rest. Without an index, for each letter writes one.
create table dead_letter_changes (
    tenant   text collate "C" not null,
    minute   timestamptz not null,
    group_id uuid not null,
    executed text collate "C" not null,
    lane     text collate "C" not null,
    state    text collate "C" not null,
    n        bigint not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 20000,
        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000);

create function count_new_letter() returns trigger language plpgsql as $$
begin
    insert into dead_letter_facets (tenant, group_id, executed, lane, reason, device_type, method, cause)
        values (new.tenant, new.group_id, new.executed, new.lane, new.reason, new.device_type, new.method, new.cause)
        on conflict do nothing;
    insert into dead_letter_changes values
        (new.tenant, date_trunc('minute', new.died_at), new.group_id, new.executed, new.lane, new.state, 1);
    return null;
end $$;

create function count_changed_letter() returns trigger language plpgsql as $$
begin
    insert into dead_letter_facets (tenant, group_id, executed, lane, reason, device_type, method, cause)
        values (new.tenant, new.group_id, new.executed, new.lane, new.reason, new.device_type, new.method, new.cause)
        on conflict do nothing;
    insert into dead_letter_changes values
        (old.tenant, date_trunc('minute', old.died_at), old.group_id, old.executed, old.lane, old.state, -1),
        (new.tenant, date_trunc('minute', new.died_at), new.group_id, new.executed, new.lane, new.state, 1);
    return null;
end $$;

create function count_gone_letters() returns trigger language plpgsql as $$
begin
    insert into dead_letter_changes
        select tenant, date_trunc('minute', died_at), group_id, executed, lane, state, -count(*)
        from gone group by 1, 2, 3, 4, 5, 6;
    return null;
end $$;

create trigger dead_letters_new after insert on dead_letters
    for each row execute function count_new_letter();
create trigger dead_letters_changed after update on dead_letters
    for each row when ((old.state, old.group_id, old.executed, old.lane, old.died_at)
        is distinct from (new.state, new.group_id, new.executed, new.lane, new.died_at))
    execute function count_changed_letter();
create trigger dead_letters_gone after delete on dead_letters referencing old table as gone
    for each statement execute function count_gone_letters();

insert into dead_letter_facets
    select distinct tenant, group_id, executed, lane, reason, device_type, method, cause from dead_letters;
insert into dead_letter_counts
    select tenant, width, date_bin(width * interval '1 minute', died_at, '0001-01-01 00:00:00+00'),
        group_id, executed, lane, state, count(*)
    from dead_letters cross join (values (1), (60), (1440), (10080), (524160)) as w (width)
    where width > 1 or died_at > now() - interval '8 days' group by 1, 2, 3, 4, 5, 6, 7;

-- Any fields of a facet are found by the facets that have them, each in the order of time; what else is
-- asked of a device's or a client's letters is in the index beside their time. So no pair of fields
-- needs an index of its own, and there are fewer than before.
drop index dead_letters_state;
drop index dead_letters_reason;
drop index dead_letters_method;
drop index dead_letters_group;
drop index dead_letters_device;
drop index dead_letters_client;
create index dead_letters_facet on dead_letters (tenant, group_id, executed, lane, state, died_at, letter_id);
create index dead_letters_device on dead_letters (tenant, device, died_at, letter_id)
    include (state, group_id, executed, lane, client);
create index dead_letters_client on dead_letters (tenant, client, died_at, letter_id)
    include (state, group_id, executed, lane, device);
create index dead_letters_id on dead_letters (tenant, id, died_at, letter_id) where id is not null;

-- Who writes letters writes what counts them, by the triggers; the janitor adds up.
select tenant_wall(name::regclass) from unnest(array['dead_letter_facets', 'dead_letter_counts', 'dead_letter_changes']) as name;
create policy pusher on dead_letter_facets to cupline_pusher using (tenant = 'system');
create policy pusher on dead_letter_changes to cupline_pusher using (tenant = 'system');
grant insert on dead_letter_facets, dead_letter_changes to cupline_api, cupline_recorder, cupline_pusher;
grant select on dead_letter_facets, dead_letter_counts, dead_letter_changes to cupline_api;
grant select, delete on dead_letter_facets to cupline_janitor;
grant select, insert, update, delete on dead_letter_counts to cupline_janitor;
grant select, insert, delete on dead_letter_changes to cupline_janitor;
