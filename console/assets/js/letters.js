// What the pages of dead letters share: filters, and the questions that come before an action.
import { actionFields, actionOf, ask } from './dialogs.js'
import { h, value, visible } from './dom.js'
import { WINDOWS, windowStart } from './filters.js'
import { count, idText, many } from './format.js'
import { failed, field, reasonTag, skeleton } from './parts.js'
import { href } from './route.js'

/** The API's filters, as they stand in the address of a view, in the order of the form. */
export const NAMES = ['group', 'reason', 'device', 'method', 'client', 'text', 'executed', 'lane', 'device_type', 'id', 'command_id', 'from', 'before', 'tenant']

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

/** Asks why and acts on one letter; resolves with what the API said, or undefined. */
export function actOnOne(ctx, kind, letter) {
  const maybe = kind === 'redrive' && letter.executed !== 'no'
  return ask({
    title: kind === 'redrive' ? 'Send this command again?' : 'Let this letter go?', confirm: kind === 'redrive' ? 'Redrive' : 'Discard', danger: kind !== 'redrive',
    body: [
      h('p', null, kind === 'redrive'
        ? 'The same bytes go to the same device, as a new command. Its outcome reaches the client, marked as a redrive.'
        : 'The command is not sent again. Its client was told of the failure already.'),
      h('p', null, value(letter.method), ' on ', value(letter.device), ' for ', value(letter.client), ' ', reasonTag(letter.reason)),
      maybe && maybeField(),
      actionFields(),
    ],
    act: (form) => ctx.api.post(`/v1/dead-letters/${letter.letter_id}/${kind}`, { ...actionOf(form), ...(maybe ? { include_maybe: true } : {}) }, { tenant: ctx.route.query.tenant }),
  })
}

function maybeField(words = 'The device may have executed it already. I have made sure that doing it again does no harm.') {
  return h('label', { class: 'check bad' }, h('input', { type: 'checkbox', name: 'maybe', required: true }), h('span', null, words))
}

/** Asks for a job over every open letter that a filter chooses, after showing what it would meet. Resolves with the job. */
export async function actOnAll(ctx, kind, query) {
  const { tenant, ...filter } = apiFilter({ ...query, state: 'any' })
  const found = h('div', null, skeleton(3))
  const rate = h('input', { name: 'rate', type: 'number', min: '1', max: '500', value: '10', required: true })
  const dialog = ask({
    title: kind === 'redrive' ? 'Redrive every open letter of this filter?' : 'Discard every open letter of this filter?',
    confirm: kind === 'redrive' ? 'Redrive them' : 'Discard them', danger: kind !== 'redrive',
    body: [found, field('At most so many a second', rate), actionFields()],
    act(form) {
      const include = form.elements.maybe?.checked ?? false
      return ctx.api.post('/v1/dead-letter-jobs', { kind, filter, rate: Number(form.elements.rate.value), include_maybe: include, ...actionOf(form) }, { tenant })
    },
  })
  ctx.api.post('/v1/dead-letter-jobs', { kind, filter, dry_run: true }, { tenant }).then(
    (dry) => found.replaceChildren(dryRun(kind, dry)), (error) => found.replaceChildren(failed(error)))
  return dialog
}

/** What a job would meet. */
function dryRun(kind, { letters, maybe, older_than_a_day: old, groups }) {
  return h('div', { class: 'dry', role: 'status' },
    h('p', null, h('strong', null, many(letters, 'letter')), ' would be ', kind === 'redrive' ? 'redriven' : 'discarded', '; ',
      h('strong', { class: maybe > 0 ? 'bad' : '' }, count(maybe)), ' may have been executed, ', h('strong', null, count(old)), ' died more than a day ago.'),
    groups.length > 0 && h('ul', null, groups.slice(0, 5).map((group) => h('li', { class: 'row' }, h('strong', null, `${count(group.count)} ×`),
      reasonTag(group.reason), value(group.method), h('span', { class: 'dim' }, visible(group.cause))))),
    kind === 'redrive' && maybe > 0 && h('p', null, h('label', { class: 'check' }, h('input', { type: 'checkbox', name: 'maybe' }),
      h('span', null, 'Send those again, too, that may have been executed. Else they are left as they are.'))))
}
