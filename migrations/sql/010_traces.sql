-- The trace that an outcome belongs to, as a W3C traceparent, empty for none: whoever fetches it from the mailbox goes on
-- with that. A pusher of the release before leaves it empty.
alter table mailbox add column trace text not null default '';
