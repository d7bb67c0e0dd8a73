// Jobs over many letters: how far they are, and how to hold, resume or end them.
import { actionFields, actionOf, ask } from '../dialogs.js'
import { fill, h, value } from '../dom.js'
import { actorName, count, many, moment, span } from '../format.js'
import { bindKeys } from '../keys.js'
import { tabs } from '../letters.js'
import { live } from '../live.js'
import { empty, facts, failed, notify, pageHead, panel, skeleton, stateTag, tag } from '../parts.js'
import { go, href } from '../route.js'
import { Table } from '../table.js'

/** How many of its letters are shown at once. */
const PAGE = 100

export function page(ctx) {
  const { route: { about, query } } = ctx
  if (about === '') jobsPage(ctx)
  else jobPage(ctx, about, query)
}

function jobsPage(ctx) {
  const { main, signal, route: { query } } = ctx
  const head = pageHead('Jobs', { words: 'What was done to many letters at once.', actions: [tabs(query, 'jobs')] })
  const place = h('div', null, skeleton(5))
  fill(main, head.element, place)
  const table = new Table({
    label: 'Jobs, the newest first', key: (job) => job.job_id, open: (job) => go(href(`jobs/${job.job_id}`, { tenant: query.tenant })),
    none: empty('No jobs', 'A job begins at the groups or the list of dead letters: Redrive all, Discard all.'),
    columns: [
      { name: 'Begun', class: 'tight', cell: (job) => h('a', { href: href(`jobs/${job.job_id}`, { tenant: query.tenant }) }, moment(job.created_at)) },
      { name: 'What', class: 'tight', cell: (job) => job.kind }, { name: 'State', class: 'tight', cell: (job) => [stateTag(job.state), job.stopped && [' ', tag('stopped', 'bad')]] },
      { name: 'Letters', class: 'num tight', cell: (job) => `${count(job.total - job.waiting)} of ${count(job.total)}` },
      { name: 'Who', cell: ({ actor }) => value(actorName(actor), { class: 'cut', title: actor }) }, { name: 'Why', class: 'grow', cell: (job) => value(job.reason, { class: 'cut' }) },
    ],
  })
  const list = live(signal, 3_000, (s) => ctx.api.get('/v1/dead-letter-jobs', { tenant: query.tenant, limit: 50 }, s), ({ jobs }) => {
    head.updated()
    if (!place.contains(table.element)) fill(place, table.element)
    table.show(jobs)
  }, (error) => {
    head.stale()
    if (!error.temporary || !place.contains(table.element)) fill(place, failed(error, () => list.refresh()))
  })
  bindKeys(signal, table.keys)
}

function jobPage(ctx, id, { tenant, after }) {
  const { main, signal } = ctx
  const head = pageHead('Job', { crumbs: h('a', { href: href('jobs', { tenant }) }, '← Jobs') })
  const [place, items, foot] = [h('div', null, skeleton(5)), h('div', { class: 'stack' }), h('div', { class: 'more' })]
  fill(main, head.element, place, items)
  const path = `/v1/dead-letter-jobs/${encodeURIComponent(id)}`
  const table = itemTable(tenant)
  let job
  const view = live(signal, 1_000, async (s) => {
    if (job?.finished_at && !job.awaited && items.childElementCount > 0) return undefined
    const found = await ctx.api.get(path, { tenant }, s)
    return { found, page: await ctx.api.get(`${path}/items`, { tenant, after, limit: PAGE }, s) }
  }, (now) => {
    if (!now) return
    job = now.found
    head.updated()
    fill(place, card(job, ctx.session.may('ops:write') ? act : undefined))
    if (!items.contains(table.element)) fill(items, h('h2', null, 'Its letters'), table.element, foot)
    table.show(now.page.items)
    const link = (words, from) => h('a', { class: 'button small', href: href(`jobs/${id}`, { tenant, after: from }) }, words)
    fill(foot, h('span', null, `${many(now.page.items.length, 'letter')} on this page`),
      h('span', { class: 'row' }, after && link('First page'), now.page.next && link('Next page', now.page.next)))
  }, (error) => {
    head.stale()
    if (!error.temporary || !job) fill(place, failed(error, () => view.refresh()))
  })
  async function act(kind) {
    const said = await ask({
      title: { pause: 'Hold this job?', resume: 'Let this job go on?', cancel: 'End this job? What was done stays done.' }[kind], confirm: { pause: 'Pause', resume: 'Resume', cancel: 'End it' }[kind], danger: kind === 'cancel',
      body: actionFields(), act: (form) => ctx.api.post(`${path}/${kind}`, actionOf(form), { tenant }),
    })
    if (!said) return
    notify(`The job is ${said.state}.`)
    view.refresh()
  }
}

function card(job, act) {
  const done = job.total - job.waiting
  const button = (kind, text, style = '') => h('button', { type: 'button', class: style, on: { click: () => act(kind) } }, text)
  const words = { redrive: 'Redrive', discard: 'Discard', undo: 'Open again' }[job.kind] ?? job.kind
  return panel(h('h2', null, words, ' ', count(job.total), ' letters'),
    h('p', { class: 'row' }, stateTag(job.state), Object.entries(job.results).map(([result, n]) => tag(`${count(n)} ${result}`, result === 'skipped' ? 'warn' : 'ok'))),
    h('progress', { max: String(Math.max(job.total, 1)), value: done, 'aria-label': 'letters done' }),
    h('p', { role: 'status' }, `${count(done)} of ${count(job.total)} done`, job.state === 'running' && job.waiting > 0 && `; about ${span(job.waiting / job.rate * 1000)} to go at ${job.rate} a second`),
    job.stopped && h('p', { class: 'bad', role: 'alert' }, 'It stopped itself: ', value(job.stopped)),
    job.state === 'running' && job.canary_due && h('p', null, `First ${count(Math.min(job.canary, job.total))} are sent, and their outcomes awaited.`),
    job.kind === 'redrive' && h('p', { class: 'row' }, 'Outcomes:', Object.entries(job.outcomes).map(([outcome, n]) => tag(`${count(n)} ${outcome}`, outcome === 'answered' ? 'ok' : 'bad')), job.awaited > 0 && tag(`${count(job.awaited)} awaited`)),
    act && h('div', { class: 'row' }, job.state === 'running' && button('pause', 'Pause'), job.state === 'paused' && button('resume', 'Resume', 'primary'),
      (job.state === 'running' || job.state === 'paused') && button('cancel', 'Cancel', 'danger')),
    facts(['by', job.actor], ['why', job.reason], ['begun', moment(job.created_at)], ['ended', job.finished_at && moment(job.finished_at)],
      ['what may have been executed', job.kind === 'redrive' ? (job.include_maybe ? 'is sent again' : 'is left') : ''],
      ['filter', h('span', { class: 'chips' }, Object.entries(job.filter).map(([name, of]) => tag(`${name.replaceAll('_', ' ')}: ${of}`)))], ['job', h('span', { class: 'mono' }, job.job_id)]))
}

function itemTable(tenant) {
  return new Table({
    label: 'Letters of the job', key: (item) => item.letter_id, none: empty('No letters'),
    columns: [
      { name: 'No.', class: 'num tight', cell: (item) => count(item.position) },
      { name: 'Letter', class: 'tight', cell: (item) => h('a', { class: 'mono', href: href(`dead-letters/${item.letter_id}`, { tenant }) }, item.letter_id) },
      { name: 'Result', class: 'tight', cell: (item) => tag(item.result || 'waiting', { redriven: 'ok', discarded: 'ok', reopened: 'ok', skipped: 'warn' }[item.result] ?? '') },
      { name: 'Outcome', class: 'tight', cell: (item) => item.outcome ? tag(item.outcome, item.outcome === 'answered' ? 'ok' : 'bad') : '' },
      { name: 'Detail', cell: (item) => item.result === 'redriven' && item.detail ? h('a', { class: 'mono', href: href(`commands/${item.detail}`, { tenant }) }, value(item.detail)) : value(item.detail ?? '') },
      { name: 'When', class: 'tight', cell: (item) => item.done_at ? moment(item.done_at) : '' },
    ],
  })
}
