-- Devices whose connections to the broker are to end, because what they logged in with is good no longer. The broker asks at
-- log-ins alone; whoever is connected stays, unless somebody ends that.

create table device_disconnects (
    tenant   text collate "C" not null,
    device   text collate "C" not null,
    asked_at timestamptz not null default clock_timestamp(),
    due_at   timestamptz not null default clock_timestamp(),
    -- Looks that have been taken: the second is for who was logging in at the moment of the first.
    looks    integer not null default 0,
    primary key (tenant, device)
);

create index device_disconnects_due on device_disconnects (due_at);

select tenant_wall('device_disconnects');
grant select, insert, update on device_disconnects to cupline_api;
grant select, update, delete on device_disconnects to cupline_janitor;

-- Whoever revokes or deletes asks for it in the same moment, whichever way it is done.
create function ask_for_disconnects() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        insert into device_disconnects (tenant, device) select tenant, device from gone
        on conflict (tenant, device) do update set asked_at = excluded.asked_at, due_at = excluded.due_at, looks = 0;
    else
        insert into device_disconnects (tenant, device)
        select distinct after.tenant, after.device from after join before using (tenant, device, credential)
            where after.revoked_at is not null and before.revoked_at is null
        on conflict (tenant, device) do update set asked_at = excluded.asked_at, due_at = excluded.due_at, looks = 0;
    end if;
    return null;
end $$;

create trigger device_credentials_disconnect after update on device_credentials
    referencing old table as before new table as after
    for each statement execute function ask_for_disconnects();

create trigger devices_disconnect after delete on devices
    referencing old table as gone
    for each statement execute function ask_for_disconnects();
