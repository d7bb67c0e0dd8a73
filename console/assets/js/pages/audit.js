// Who did what, and what failed.
import { fill, h, value, visible } from '../dom.js'
import { WINDOWS, chips, filterForm, windowStart } from '../filters.js'
import { actorName, many, moment, subject } from '../format.js'
import { bindKeys } from '../keys.js'
import { live } from '../live.js'
import { empty, failed, pageHead, reasonTag, skeleton, tag } from '../parts.js'
import { go, href } from '../route.js'
import { Table } from '../table.js'

const NAMES = ['stage', 'action', 'actor', 'reason', 'device', 'method', 'client', 'id', 'device_type', 'lane', 'text', 'command_id', 'from', 'before', 'tenant']
const STAGES = ['operator', 'intake', 'dispatch', 'record', 'mailbox', 'push']

export function page(ctx) {
  const { main, session, signal, route: { query } } = ctx
  const head = pageHead('Audit', { words: 'Every failure, and every operator\'s action. Nothing is ever changed or removed here.' })
  const [place, foot] = [h('div', null, skeleton(10)), h('div', { class: 'more' })]
  const open = (entry) => entry.command_id && go(href(`commands/${entry.command_id}`, { tenant: query.tenant }))
  const table = auditTable(open, query)
  fill(main, head.element, filterForm({ path: 'audit', query, fields: [
    { name: 'window', label: 'In', options: WINDOWS, usual: '24h' },
    { name: 'stage', label: 'Stage', options: [['', 'any'], ...[...new Set([...STAGES, query.stage].filter(Boolean))].map((stage) => [stage, stage])] },
    { name: 'actor', label: 'Who' }, { name: 'action', label: 'Action' }, { name: 'device', label: 'Device' }, { name: 'text', label: 'Text in the detail', wide: true },
    { name: 'reason', label: 'Reason', more: true }, { name: 'client', label: 'Client', more: true }, { name: 'method', label: 'Method', more: true },
    { name: 'lane', label: 'Lane', more: true }, { name: 'device_type', label: 'Device type', more: true }, { name: 'id', label: 'Client\'s id', more: true }, { name: 'command_id', label: 'Command id', more: true },
    { name: 'from', label: 'From', more: true }, { name: 'before', label: 'Before', more: true },
    ...(session.may('ops:platform') ? [{ name: 'tenant', label: 'Tenant', more: true, placeholder: session.me.tenant }] : []),
  ] }), chips('audit', query, NAMES), place, foot)
  const asked = { ...Object.fromEntries(NAMES.map((name) => [name, query[name]])), from: query.from ?? windowStart(query.window ?? '24h') }
  const list = live(signal, 10_000, (s) => ctx.api.get('/v1/audit', { ...asked, after: query.after, limit: 100 }, s), ({ entries, next }) => {
    head.updated()
    if (!place.contains(table.element)) fill(place, table.element)
    table.show(entries.map((entry, i) => ({ ...entry, key: `${entry.at} ${i}` })))
    fill(foot, h('span', null, many(entries.length, 'entry', 'entries'), ' on this page'), h('span', { class: 'row' },
      query.after && h('a', { class: 'button small', href: href('audit', { ...query, after: '' }) }, 'Newest'),
      next && h('a', { class: 'button small', href: href('audit', { ...query, after: next }) }, 'Older')))
  }, (error) => {
    head.stale()
    if (!error.temporary || !place.contains(table.element)) fill(place, failed(error, () => list.refresh()))
  })
  bindKeys(signal, table.keys)
}

function auditTable(open, query) {
  const { tenant } = query
  return new Table({
    label: 'The audit trail, newest first', key: (entry) => entry.key, open, none: empty('Nothing happened', 'No entry of this time fits.'),
    columns: [
      { name: 'At', class: 'tight', cell: (entry) => entry.command_id ? h('a', { href: href(`commands/${entry.command_id}`, { tenant }) }, moment(entry.at)) : moment(entry.at) },
      { name: 'What', class: 'tight', cell: (entry) => [tag(entry.stage), ' ', value(entry.action.replaceAll('_', ' '))] },
      { name: 'Who', class: 'tight', cell: ({ actor }) => actor ? h('a', { class: 'who', href: href('audit', { ...query, after: '', actor }), title: actor }, value(actorName(actor))) : h('span', { class: 'dim' }, 'the platform') },
      { name: 'Reason', class: 'tight', cell: (entry) => reasonTag(entry.reason) },
      { name: 'Device', cell: ({ device }) => device && value(device, { class: 'cut', title: device }) },
      { name: 'Method', cell: ({ method }) => method && value(method, { class: 'cut', title: method }) },
      { name: 'Client', cell: ({ client }) => client && value(client, { class: 'cut', title: client }) },
      { name: 'Detail', class: 'grow', cell: ({ detail }) => detail && whatItSays(detail, tenant) },
    ],
  })
}

/** What somebody said, and then the way to what it was about. */
function whatItSays(detail, tenant) {
  const { kind, id, rest } = subject(detail)
  const path = { letter: `dead-letters/${id}`, job: `jobs/${id}` }[kind] ?? (kind && 'dead-letters/list')
  return [h('span', { class: 'cut dim', title: detail }, visible(rest)), path && h('a', { href: href(path, { tenant, group: kind === 'group' ? id : '' }) }, `the ${kind}`)]
}
