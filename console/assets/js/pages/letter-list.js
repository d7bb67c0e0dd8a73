// The letters themselves: filters, the keyboard, and actions on one, on some, on all.
import { actOnAll } from '../actions.js'
import { actionFields, actionOf, ask } from '../dialogs.js'
import { fill, h, value, visible } from '../dom.js'
import { chips, filterForm } from '../filters.js'
import { count, idText, many, moment } from '../format.js'
import { bindKeys } from '../keys.js'
import { NAMES, apiFilter, fields, idOf, tabs } from '../letters.js'
import { live } from '../live.js'
import { marks } from '../marks.js'
import { empty, executedTag, failed, notify, pageHead, reasonTag, skeleton, stateTag, tag } from '../parts.js'
import { go, href } from '../route.js'
import { Table } from '../table.js'

const PAGE = 100

export function page(ctx) {
  const { main, session, signal, route: { query } } = ctx
  const path = 'dead-letters/list'
  const head = pageHead('Dead letters', { actions: [tabs(query, 'list')] })
  const [place, foot] = [h('div', null, skeleton(10)), h('div', { class: 'more' })]
  const bar = h('div', { class: 'bulk', role: 'region', 'aria-label': 'Act', hidden: true })
  const view = (letter) => go(href(`dead-letters/${letter.letter_id}`, { tenant: query.tenant, back: location.search.slice(1) }))
  const may = session.may('ops:write')
  const table = new Table({
    label: 'Dead letters', key: (letter) => letter.letter_id, open: view, columns: columns(query),
    choose: may ? () => showBar() : undefined,
    sort: { by: query.sort ?? '-died_at', change: (by) => go(href(path, { ...query, after: '', sort: by === '-died_at' ? '' : by })) },
    none: empty('No dead letters', 'No letter fits these filters. Those that were redriven or discarded are shown with the state "any".'),
  })
  let counts, shown
  const showFoot = () => fill(foot, h('span', null, `${many(shown.letters.length, 'letter')} on this page. `,
    counts && [count(Object.values(counts.counts).reduce((all, n) => all + n, 0)), counts.counted_from ? [' since ', moment(counts.counted_from), '; older ones were not counted.'] : ' in all']), h('span', { class: 'row' },
    query.after && h('a', { class: 'button small', href: href(path, { ...query, after: '' }) }, 'First page'),
    shown.next && h('a', { class: 'button small', href: href(path, { ...query, after: shown.next }) }, 'Next page')))
  const load = (s) => firstThatHasSome(query.after, (after) => ctx.api.get('/v1/dead-letters', { ...apiFilter(query), sort: query.sort, after, limit: PAGE }, s))
  const list = live(signal, 15_000, load, (found) => {
    head.updated()
    shown = found
    if (!place.contains(table.element)) fill(place, table.element)
    if (table.chosen.size === 0 || table.rows.length === 0) table.show(found.letters)
    if (found.letters.length === 0 && found.next) fill(table.none, empty('Nothing so far', 'There are many letters to look through. The next page goes on from here.'))
    showFoot()
    showBar()
  }, (error) => {
    head.stale()
    if (!error.temporary || !place.contains(table.element)) fill(place, failed(error, () => list.refresh()))
  })
  ctx.api.get('/v1/dead-letters', { ...apiFilter(query), limit: 1, counts: true }, signal).then((found) => {
    counts = found
    if (shown) showFoot()
  }, () => {}) // the list tells errors

  const all = (kind) => async () => {
    const job = await actOnAll(ctx, kind, query)
    if (job) go(href(`jobs/${job.job_id}`, { tenant: query.tenant }))
  }
  const some = (kind) => () => actOnSome(ctx, kind, table, () => list.refresh())
  function showBar() {
    bar.hidden = !may || table.rows.length === 0
    const n = table.chosen.size
    fill(bar, n > 0
      ? [h('strong', null, `${n} chosen`), button('Redrive', some('redrive'), 'primary'), button('Discard', some('discard'), 'danger'), button('Clear', () => table.clear(), 'quiet')]
      : [h('span', { class: 'dim' }, 'All open letters of this filter'), button('Redrive all…', all('redrive')), button('Discard all…', all('discard'))])
  }
  fill(main, head.element, filterForm({ path, query, fields: fields(session) }), chips(path, query, NAMES), place, foot, bar)
  bindKeys(signal, { ...table.keys, r: () => table.chosen.size > 0 && some('redrive')(), d: () => table.chosen.size > 0 && some('discard')() })
}

/** How many empty pages are passed over before somebody is asked whether to go on. */
const PATIENCE = 20

/** A page may be empty and have a next one: the API looks for a moment, and then says how far it came. */
async function firstThatHasSome(after, ask) {
  for (let empty = 0; ; empty++) {
    const found = await ask(after)
    if (found.letters.length > 0 || !found.next || empty === PATIENCE) return found
    after = found.next
  }
}

const button = (text, click, kind = '') => h('button', { type: 'button', class: kind, on: { click } }, text)

function columns(query) {
  return [
    { name: 'Died', class: 'tight', sort: 'died_at', cell: (letter) => h('a', { href: href(`dead-letters/${letter.letter_id}`, { tenant: query.tenant, back: location.search.slice(1) }) }, moment(letter.died_at)) },
    { name: 'Reason', class: 'tight', sort: 'reason', cell: (letter) => reasonTag(letter.reason) },
    { name: 'Run?', class: 'tight', cell: (letter) => executedTag(letter.executed) },
    { name: 'Device', sort: 'device', cell: (letter) => value(letter.device, { class: 'cut' }) },
    { name: 'Method', sort: 'method', cell: (letter) => value(letter.method, { class: 'cut' }) },
    { name: 'Client', sort: 'client', cell: (letter) => value(letter.client, { class: 'cut' }) },
    { name: 'Id', cell: (letter) => h('span', { class: 'cut mono', title: letter.id === null ? undefined : idText(letter.id) }, idOf(letter)) },
    { name: 'Error', class: 'grow', cell: (letter) => letter.detail && h('span', { class: 'cut dim', title: letter.detail }, visible(letter.detail)) },
    { name: 'State', class: 'tight', cell: (letter) => [stateTag(letter.state), letter.held && [' ', tag('held', 'bad')], marks(letter)] },
  ]
}

/** Acts on the chosen letters, one after the other, with a bar that can be stopped. */
async function actOnSome(ctx, kind, table, done) {
  const letters = table.rows.filter(({ letter_id: id }) => table.chosen.has(id))
  const maybe = kind === 'redrive' ? letters.filter(({ executed }) => executed !== 'no').length : 0
  const why = await ask({
    title: `${kind === 'redrive' ? 'Redrive' : 'Discard'} ${many(letters.length, 'letter')}?`, confirm: kind === 'redrive' ? 'Redrive them' : 'Discard them', danger: kind !== 'redrive',
    body: [maybe > 0 && h('label', { class: 'check bad' }, h('input', { type: 'checkbox', name: 'maybe' }),
      h('span', null, `${many(maybe, 'device')} may have executed theirs already. Send those again, too; else they are left.`)), actionFields()],
    act: (form) => ({ ...actionOf(form), ...(form.elements.maybe?.checked ? { include_maybe: true } : {}) }),
  })
  if (!why) return
  let stopped = false
  const progress = h('progress', { max: String(letters.length), value: 0, 'aria-label': 'letters done' })
  const words = h('p', { role: 'status' })
  const dialog = h('dialog', { 'aria-label': 'Progress', on: { close: () => { stopped = true; dialog.remove() } } },
    h('form', { method: 'dialog' }, h('h2', null, kind === 'redrive' ? 'Redriving' : 'Discarding'), progress, words, h('div', { class: 'buttons' }, h('button', null, 'Stop'))))
  document.body.append(dialog)
  dialog.showModal()
  const failures = []
  let did = 0
  for (const letter of letters) {
    if (stopped || ctx.signal.aborted) break
    await ctx.api.post(`/v1/dead-letters/${letter.letter_id}/${kind}`, why, { tenant: ctx.route.query.tenant }).then(() => { did++ }, (error) => failures.push(error))
    progress.value = did + failures.length
    fill(words, `${did} of ${letters.length} done${failures.length ? `, ${failures.length} left as they were` : ''}`)
  }
  dialog.close()
  table.clear()
  done()
  const left = failures.length > 0 ? ` ${many(failures.length, 'letter')} left as they were: ${failures[0].message}` : ''
  notify(`${many(did, 'letter')} ${kind === 'redrive' ? 'redriven' : 'discarded'}.${left}`, { bad: failures.length > 0 })
}
