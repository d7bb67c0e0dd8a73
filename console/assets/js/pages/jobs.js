// Jobs over many letters: how far they are, and how to hold, resume or end them.
import { actionFields, actionOf, ask } from '../dialogs.js'
import { fill, h, value } from '../dom.js'
import { count, moment, span } from '../format.js'
import { live } from '../live.js'
import { empty, facts, failed, notify, pageHead, panel, skeleton, stateTag, tag } from '../parts.js'
import { href } from '../route.js'
import { Table } from '../table.js'

export function page(ctx) {
  const { route: { about, query } } = ctx
  if (about === '') jobsPage(ctx)
  else jobPage(ctx, about, query.tenant)
}

function jobsPage(ctx) {
  const { main, route: { query } } = ctx
  const head = pageHead('Jobs', { crumbs: h('a', { href: href('dead-letters') }, '← Dead letters') })
  fill(main, head.element, empty('A job is found by its link', 'Start one from the groups or the list of dead letters; its page is its link. The audit trail names all of them.',
    h('a', { class: 'button', href: href('audit', { stage: 'operator', text: 'job', tenant: query.tenant }) }, 'Jobs in the audit trail')))
}

function jobPage(ctx, id, tenant) {
  const { main, signal } = ctx
  const head = pageHead('Job', { crumbs: h('a', { href: href('dead-letters', { tenant }) }, '← Dead letters') })
  const [place, items] = [h('div', null, skeleton(5)), h('div')]
  fill(main, head.element, place, items)
  const path = `/v1/dead-letter-jobs/${encodeURIComponent(id)}`
  const table = itemTable(tenant)
  let job
  const view = live(signal, 1_000, async (s) => {
    if (job?.finished_at && items.childElementCount > 0) return undefined
    const found = await ctx.api.get(path, { tenant }, s)
    return { found, items: (await ctx.api.get(`${path}/items`, { tenant, limit: 200 }, s)).items }
  }, (now) => {
    if (!now) return
    job = now.found
    head.updated()
    fill(place, card(job, ctx.session.may('ops:write') ? act : undefined))
    if (!items.contains(table.element)) fill(items, h('h2', null, 'Its letters'), table.element)
    table.show(now.items)
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
  const words = { redrive: 'Redrive', discard: 'Discard' }[job.kind] ?? job.kind
  return panel(h('h2', null, words, ' ', count(job.total), ' letters'),
    h('p', { class: 'row' }, stateTag(job.state), Object.entries(job.results).map(([result, n]) => tag(`${count(n)} ${result}`, result === 'skipped' ? 'warn' : 'ok'))),
    h('progress', { max: String(Math.max(job.total, 1)), value: done, 'aria-label': 'letters done' }),
    h('p', { role: 'status' }, `${count(done)} of ${count(job.total)} done`, job.state === 'running' && job.waiting > 0 && `; about ${span(job.waiting / job.rate * 1000)} to go at ${job.rate} a second`),
    act && h('div', { class: 'row' }, job.state === 'running' && button('pause', 'Pause'), job.state === 'paused' && button('resume', 'Resume', 'primary'),
      (job.state === 'running' || job.state === 'paused') && button('cancel', 'Cancel', 'danger')),
    facts(['by', job.actor], ['why', job.reason], ['begun', moment(job.created_at)], ['ended', job.finished_at && moment(job.finished_at)],
      ['what may have been executed', job.kind === 'redrive' ? (job.include_maybe ? 'is sent again' : 'is left') : ''],
      ['filter', Object.entries(job.filter).map(([name, of]) => tag(`${name}: ${of}`))], ['job', h('span', { class: 'mono' }, job.job_id)]))
}

function itemTable(tenant) {
  return new Table({
    label: 'Letters of the job', key: (item) => item.letter_id, none: empty('No letters'),
    columns: [
      { name: 'No.', class: 'num tight', cell: (item) => count(item.position) },
      { name: 'Letter', class: 'tight', cell: (item) => h('a', { class: 'mono', href: href(`dead-letters/${item.letter_id}`, { tenant }) }, item.letter_id) },
      { name: 'Result', class: 'tight', cell: (item) => tag(item.result || 'waiting', { redriven: 'ok', discarded: 'ok', skipped: 'warn' }[item.result] ?? '') },
      { name: 'Detail', cell: (item) => value(item.detail ?? '') },
      { name: 'When', class: 'tight', cell: (item) => item.done_at ? moment(item.done_at) : '' },
    ],
  })
}
