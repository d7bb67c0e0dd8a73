// Dead letters: what died, why, since when, is it still happening. Groups first.
import { actOnAll } from '../actions.js'
import { chips, filterForm } from '../filters.js'
import { fill, h, value, visible } from '../dom.js'
import { ago, count, moment } from '../format.js'
import { bindKeys } from '../keys.js'
import { NAMES, apiFilter, fields, tabs } from '../letters.js'
import { live } from '../live.js'
import { marks } from '../marks.js'
import { empty, failed, pageHead, skeleton } from '../parts.js'
import { go, href } from '../route.js'
import { Table } from '../table.js'
import { page as letterPage } from './letter.js'
import { page as listPage } from './letter-list.js'

export function page(ctx) {
  const { about } = ctx.route
  if (about === '') groupsPage(ctx)
  else if (about === 'list') listPage(ctx)
  else letterPage(ctx)
}

function groupsPage(ctx) {
  const { main, session, signal, route: { query } } = ctx
  const open = (group) => go(href('dead-letters/list', { ...query, group: group.group }))
  const bulk = (kind) => async (group) => {
    const job = await actOnAll(ctx, kind, { ...query, group: group.group })
    if (job) go(href(`jobs/${job.job_id}`, { tenant: query.tenant }))
  }
  const head = pageHead('Dead letters', { words: 'Commands that ended without their device\'s answer, by cause.', actions: [tabs(query, 'groups')] })
  const table = groupTable({ open, query, acts: session.may('ops:write') ? { redrive: bulk('redrive'), discard: bulk('discard') } : undefined })
  const place = h('div', null, skeleton())
  fill(main, head.element, filterForm({ path: 'dead-letters', query, fields: fields(session, { states: false }) }), chips('dead-letters', query, NAMES), place)
  let most = 1
  const part = h('p', { class: 'dim', role: 'status' })
  const list = live(signal, 10_000, (s) => ctx.api.get('/v1/dead-letters/groups', { ...apiFilter(query, { state: false }), limit: 200 }, s), ({ groups, counted_from: from }) => {
    fill(part, from && ['Counted from ', moment(from), ' on: these are more letters than can be counted at once. Choose a shorter time to see all of it.'])
    head.updated()
    most = Math.max(...groups.map((group) => group.count), 1)
    table.most = most
    if (!place.contains(table.element)) fill(place, part, table.element)
    table.show(groups)
  }, (error) => {
    head.stale()
    if (!error.temporary || !place.contains(table.element)) fill(place, failed(error, () => list.refresh()))
  })
  bindKeys(signal, table.keys)
}

function groupTable({ open, query, acts }) {
  const table = new Table({
    label: 'Causes, the most frequent first', key: (group) => group.group, open,
    none: empty('No dead letters', 'Nothing died in this time that these filters choose. Look further back, or be glad.'),
    columns: [
      { name: 'Letters', class: 'num tight', cell: (group) => [h('strong', null, count(group.count)),
        h('div', { class: 'bar bad', 'aria-hidden': 'true' }, h('i', { vars: { part: `${group.count / table.most * 100}%` } }))] },
      { name: 'Cause', cell: (group) => h('div', null, h('a', { href: href('dead-letters/list', { ...query, group: group.group }) }, value(group.reason)), ' ',
        h('span', null, value([group.device_type, group.method].filter(Boolean).join(' · '))), h('span', { class: 'cut dim' }, visible(group.cause)), marks(group)) },
      { name: 'Open', class: 'num tight', cell: (group) => count(group.open) },
      { name: 'Maybe run', class: 'num tight', cell: (group) => h('span', { class: group.maybe > 0 ? 'bad' : 'dim' }, count(group.maybe)) },
      { name: 'Per minute', class: 'num tight', cell: (group) => group.per_minute > 0 ? h('strong', { class: 'bad' }, group.per_minute.toFixed(1)) : h('span', { class: 'dim' }, '0') },
      { name: 'Last', class: 'tight', cell: (group) => [moment(group.last_at, ago(group.last_at)), h('div', { class: 'dim' }, 'since ', moment(group.first_at))] },
      ...(acts ? [{ name: 'Act', class: 'tight', cell: (group) => group.open > 0 ? h('div', { class: 'row' },
        h('button', { type: 'button', class: 'small', 'aria-label': `redrive the ${group.open} open letters of this cause`, on: { click: () => acts.redrive(group) } }, 'Redrive…'),
        h('button', { type: 'button', class: 'small', 'aria-label': `discard the ${group.open} open letters of this cause`, on: { click: () => acts.discard(group) } }, 'Discard…')) : '' }] : []),
    ],
  })
  table.most = 1
  return table
}

