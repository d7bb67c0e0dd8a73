// One command's life, from the POST to the ack; and what was started last.
import { fill, h, value } from '../dom.js'
import { chips, filterForm } from '../filters.js'
import { idText, moment, span } from '../format.js'
import { bindKeys } from '../keys.js'
import { live } from '../live.js'
import { bytes, empty, facts, failed, field, pageHead, panel, reasonTag, skeleton, stateTag, tag } from '../parts.js'
import { go, href } from '../route.js'
import { Table } from '../table.js'
import { strip, timeline } from '../timeline.js'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const FIELDS = ['device', 'method', 'client', 'reason', 'state', 'since', 'tenant']

export function page(ctx) {
  if (ctx.route.about === '') listPage(ctx)
  else commandPage(ctx, ctx.route.about)
}

/** Finds one by its command id. */
function finder() {
  const input = h('input', { name: 'command', type: 'search', placeholder: '01908c3e-7d2a-7000-8000-000000000001', autocomplete: 'off', spellcheck: 'false', required: true })
  return h('form', { class: 'filters', role: 'search', 'aria-label': 'Find a command', on: {
    submit(event) {
      event.preventDefault()
      const id = input.value.trim()
      input.setCustomValidity(UUID.test(id) ? '' : 'A command id is a UUID, as the 202 had it. For a client\'s own id see the list below.')
      if (input.reportValidity()) go(href(`commands/${id}`))
    },
    input: () => input.setCustomValidity(''),
  } }, field('Command id', input, true), h('button', { class: 'primary' }, 'Show its life'))
}

function listPage(ctx) {
  const { main, session, signal, route: { query } } = ctx
  const head = pageHead('Commands', { words: 'What was started last. What waits in a queue is not here yet.' })
  const place = h('div', null, skeleton(10))
  const open = (command) => go(href(`commands/${command.command_id}`, { tenant: query.tenant }))
  const table = recentTable({ open, tenant: query.tenant })
  fill(main, head.element, finder(), filterForm({ path: 'commands', query, fields: [
    { name: 'state', label: 'State', options: [['', 'any'], ['open', 'open'], ['answered', 'answered'], ['failed', 'failed']] },
    { name: 'device', label: 'Device' }, { name: 'method', label: 'Method' }, { name: 'client', label: 'Client' }, { name: 'reason', label: 'Reason' },
    { name: 'since', label: 'Started since', more: true, placeholder: '2026-03-01T12:00:00Z' },
    ...(session.may('ops:platform') ? [{ name: 'tenant', label: 'Tenant', more: true, placeholder: session.me.tenant }] : []),
  ] }), chips('commands', query, FIELDS), place)
  const asked = Object.fromEntries(FIELDS.map((name) => [name, query[name]]))
  const list = live(signal, 5_000, (s) => ctx.api.get('/v1/recent-commands', { ...asked, limit: 100 }, s), ({ commands }) => {
    head.updated()
    if (!place.contains(table.element)) fill(place, table.element)
    table.show(commands)
  }, (error) => {
    head.stale()
    if (!error.temporary || !place.contains(table.element)) fill(place, failed(error, () => list.refresh()))
  })
  bindKeys(signal, table.keys)
}

/** How one ended, in a word. */
export function ending(command) {
  if (command.state === 'open') return tag('open', 'accent')
  if (command.origin === 'platform') return reasonTag(command.reason)
  return command.response?.error ? tag('device error', 'warn') : tag('answered', 'ok')
}

/** The newest commands; of one device without what is the same for all of them, or too long to stand beside the rest. */
export function recentTable({ open, tenant, device }) {
  return new Table({
    label: 'Commands, the newest first', key: (command) => command.command_id, open,
    none: device ? empty('No commands', 'None was started lately; what waits is not here yet.') : empty('No commands', 'None was started lately that fits.'),
    columns: [
      { name: 'Accepted', class: 'tight', cell: (command) => h('a', { href: href(`commands/${command.command_id}`, { tenant }) }, moment(command.accepted_at)) },
      { name: 'Outcome', class: 'tight', cell: ending },
      ...(device ? [] : [{ name: 'Device', cell: (command) => value(command.device, { class: 'cut' }) }]),
      { name: 'Method', cell: (command) => value(command.method, { class: 'cut' }) },
      { name: 'Client', cell: (command) => value(command.client, { class: 'cut' }) },
      ...(device ? [] : [{ name: 'Id', cell: ({ id }) => id !== null && h('span', { class: 'cut mono', title: idText(id) }, value(idText(id))) }]),
      { name: 'Took', class: 'num tight', cell: (command) => command.decided_at ? span(new Date(command.decided_at) - new Date(command.accepted_at)) : '' },
    ],
  })
}

function commandPage(ctx, id) {
  const { main, signal, route: { query } } = ctx
  const head = pageHead('Command', { crumbs: h('a', { href: href('commands') }, '← Commands') })
  const place = h('div', null, skeleton(8))
  fill(main, head.element, place)
  let shown = false
  const view = live(signal, 3_000, (s) => ctx.api.get(`/v1/commands/${encodeURIComponent(id)}/history`, { tenant: query.tenant }, s), (life) => {
    head.updated()
    // What does not change is left alone: somebody may be selecting text in it.
    const now = JSON.stringify(life)
    if (shown !== now) fill(place, whole(life, query.tenant))
    shown = now
  }, (error) => {
    head.stale()
    if (error.status === 404) {
      fill(place, empty('Nothing is known of this command', 'It was not started yet and still waits in its queue, it was never accepted, or the ledger has forgotten it (after 24 hours, unless set otherwise).',
        h('button', { type: 'button', on: { click: () => view.refresh() } }, 'Look again')))
    } else if (!error.temporary || !shown) fill(place, failed(error, () => view.refresh()))
  })
}

function whole({ command_id: id, client, command, letters, events }, tenant) {
  const took = events.length > 1 ? span(new Date(events.at(-1).at) - new Date(events[0].at)) : ''
  return h('div', { class: 'split' },
    panel('Its life', strip(events), timeline(events)),
    h('div', { class: 'stack' }, panel(command ? h('h2', null, value(command.method), ' on ', value(command.device)) : 'Command',
      command && h('p', null, ending({ ...command, reason: events.find(({ event }) => event === 'decided')?.reason })),
      facts(['command', h('span', { class: 'mono' }, id)], ['client', client ?? ''], ['id', command && h('span', { class: 'mono' }, value(idText(command.id) || 'none: one-way'))],
        ['device', command && h('a', { href: href(`devices/${command.device}`) }, value(command.device))], ['lane', command?.lane ?? ''],
        ['redrive', command?.redrive > 0 ? `number ${command.redrive}` : ''], ['expires', command && moment(command.expires_at)], ['in all', took]),
      letters.map((letter) => h('p', { class: 'row' }, 'Dead letter ', h('a', { href: href(`dead-letters/${letter.letter_id}`, { tenant }) }, moment(letter.died_at)), reasonTag(letter.reason), stateTag(letter.state)))),
    command?.response !== undefined && panel('Outcome', bytes(command.response, { name: 'outcome' }))))
}
