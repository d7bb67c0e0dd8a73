// What the pages of dead letters share: the filters.
import { h, value } from './dom.js'
import { WINDOWS, windowStart } from './filters.js'
import { idText } from './format.js'
import { href } from './route.js'

/** The API's filters, as they stand in the address of a view, in the order of the form. */
export const NAMES = ['group', 'reason', 'device', 'method', 'client', 'text', 'executed', 'lane', 'device_type', 'id', 'command_id', 'job_id', 'tag', 'assignee', 'held', 'from', 'before', 'tenant']

const EXECUTED = [['', 'any'], ['no', 'not run'], ['maybe', 'maybe run']]
const STATES = [['open', 'open'], ['any', 'any'], ['redriving', 'redriving'], ['redriven', 'redriven'], ['discarded', 'discarded']]
const REASONS = ['expired', 'device_offline', 'no_answer', 'worker_lost', 'bad_answer', 'undeliverable', 'duplicate_id', 'discarded', 'device_busy', 'unrecordable']

/** The fields of the form. */
export function fields(session, { states = true } = {}) {
  return [
    { name: 'window', label: 'Died in', options: WINDOWS, usual: '24h' },
    ...(states ? [{ name: 'state', label: 'State', options: STATES, usual: 'open' }] : []),
    { name: 'reason', label: 'Reason', options: [['', 'any'], ...REASONS.map((reason) => [reason, reason])] },
    { name: 'device', label: 'Device' }, { name: 'method', label: 'Method' },
    { name: 'text', label: 'Text in payload or error', wide: true },
    { name: 'client', label: 'Client', more: true }, { name: 'executed', label: 'Run?', options: EXECUTED, more: true },
    { name: 'lane', label: 'Lane', more: true }, { name: 'device_type', label: 'Device type', more: true },
    { name: 'id', label: 'Client\'s id', more: true }, { name: 'command_id', label: 'Command id', more: true },
    { name: 'tag', label: 'Tag', more: true }, { name: 'assignee', label: 'Looked after by', more: true },
    { name: 'group', label: 'Group', more: true, quiet: true }, { name: 'job_id', label: 'Job', more: true },
    { name: 'held', label: 'Held?', options: [['', 'any'], ['true', 'died again and again']], more: true },
    { name: 'from', label: 'From', more: true, placeholder: '2026-03-01T12:00:00Z' }, { name: 'before', label: 'Before', more: true, placeholder: '2026-03-01T13:00:00Z' },
    ...(session.may('ops:platform') ? [{ name: 'tenant', label: 'Tenant', more: true, placeholder: session.me.tenant }] : []),
  ]
}

/** The two ways to look at the same letters. */
export function tabs(query, now) {
  const { after, sort, group, ...kept } = query
  return h('nav', { class: 'tabs', 'aria-label': 'View' },
    h('a', { href: href('dead-letters', kept), 'aria-current': now === 'groups' ? 'true' : undefined }, 'Groups'),
    h('a', { href: href('dead-letters/list', kept), 'aria-current': now === 'list' ? 'true' : undefined }, 'Letters'),
    h('a', { href: href('jobs', { tenant: query.tenant }), 'aria-current': now === 'jobs' ? 'true' : undefined }, 'Jobs'))
}

/** What the API is asked with. */
export function apiFilter(query, { state = true } = {}) {
  const filter = Object.fromEntries(NAMES.filter((name) => query[name]).map((name) => [name, query[name]]))
  filter.from ??= windowStart(query.window ?? '24h')
  if (filter.from === undefined) delete filter.from
  const wanted = query.state ?? 'open'
  if (state && wanted !== 'any') filter.state = wanted
  return filter
}

/** The client's id of a letter, as the filters take it. */
export function idOf(letter) {
  return letter.id === null ? h('span', { class: 'dim' }, 'one-way') : value(idText(letter.id))
}
