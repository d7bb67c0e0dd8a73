-- What devices log in to the broker with. Several may be good at a time, so that one can be
-- replaced while the device still has the other.

create table device_credentials (
    tenant        text collate "C" not null,
    device        text collate "C" not null,
    credential    text collate "C" not null,
    -- Of the whole password, which has 256 random bits.
    hash          bytea not null check (octet_length(hash) = 32),
    created_at    timestamptz not null default now(),
    expires_at    timestamptz,
    revoked_at    timestamptz,
    -- To the minute, so that a device that comes again and again costs no writes.
    last_login_at timestamptz,
    primary key (tenant, device, credential),
    foreign key (tenant, device) references devices on delete cascade
);

select tenant_wall('device_credentials');

grant select, insert, update (expires_at, revoked_at, last_login_at) on device_credentials to cupline_api;
