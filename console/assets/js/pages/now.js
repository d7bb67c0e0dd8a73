// What is going on now: what is wrong, in words; every lane; how commands end.
import { fill, h, value, visible } from '../dom.js'
import { count, many, rate, span } from '../format.js'
import { QueueHistory, age, laneOf, troubles } from '../lanes.js'
import { live } from '../live.js'
import { empty, failed, facts, pageHead, panel, skeleton, tag } from '../parts.js'
import { laneButton, pauseNote } from '../pauses.js'
import { Plot } from '../plot.js'
import { windowStart } from '../filters.js'
import { href } from '../route.js'

const EVERY = { queues: 3_000, rest: 10_000 }
const history = new QueueHistory()

export function page(ctx) {
  const { main, session, signal, outages } = ctx
  const head = pageHead('Now')
  const view = { history, head, outages, asked: new Set(), unseen: new Set(), ...places() }
  fill(main, head.element, view.troubles, view.stats, view.lanes, h('div', { class: 'columns' }, view.reasons, view.clients), view.queues)
  outages.addEventListener('change', () => showTroubles(view), { signal })
  const failing = (place) => (error) => {
    head.stale()
    view.asked.delete(place)
    view.unseen.add(place)
    showTroubles(view)
    if (!error.temporary || place.querySelector('.skeleton')) fill(place, panel('', failed(error)))
  }
  const watch = (may, place, every, load, show) => {
    if (may) {
      view.asked.add(place)
      return live(signal, every, load, (found) => {
        view.asked.delete(place)
        view.unseen.delete(place)
        show(found)
      }, failing(place))
    }
    place.replaceChildren()
  }
  const queues = watch(session.may('ops:platform'), view.lanes, EVERY.queues, (s) => ctx.api.get('/v1/queues', {}, s), (picture) => {
    history.add(picture)
    head.updated()
    showLanes(view, signal, (lane, paused, ready) => laneButton(ctx, lane, paused, ready, () => queues.refresh()))
    showQueues(view)
    refresh(view)
  })
  if (!session.may('ops:platform')) fill(view.lanes, panel('Lanes', h('p', { class: 'dim' }, 'Lanes and queues belong to the whole platform: to see them a key needs the scope ', h('code', null, 'ops:platform'), '.')))
  const { tenant } = ctx.route.query
  watch(session.may('ops:read'), view.reasons, EVERY.rest, async (s) => Promise.all([
    ctx.api.get('/v1/outcome-counts', { tenant }, s), ctx.api.get('/v1/dead-letters/groups', { tenant, from: windowStart('1h'), limit: 50 }, s),
    ctx.api.get('/v1/connected-clients', { tenant }, s),
  ]), ([counts, { groups }, clients]) => {
    Object.assign(view, { counts, groups, connected: clients })
    head.updated()
    showReasons(view)
    showClients(view)
    refresh(view)
  })
}

function places() {
  const place = (name) => h('section', { 'aria-label': name, class: 'appear' })
  const all = { troubles: place('What is wrong'), stats: place('Figures'), lanes: place('Lanes'), reasons: place('Outcomes'), clients: place('Clients'), queues: place('Queues') }
  fill(all.troubles, skeleton(2))
  fill(all.lanes, panel('Lanes', skeleton(5)))
  fill(all.reasons, panel('Outcomes', skeleton(4)))
  return { ...all, cards: new Map() }
}

/** What depends on all sources: the words on top, and the figures. */
function refresh(view) {
  showTroubles(view)
  const lanes = (view.history.picture?.queues ?? []).filter(({ kind }) => kind === 'lane')
  const sum = (field) => lanes.some((queue) => queue[field] !== null) ? lanes.reduce((all, queue) => all + (queue[field] ?? 0), 0) : null
  const failedIn = Object.values(view.counts?.failed ?? {}).reduce((all, n) => all + n, 0)
  const figure = (name, figures, words) => h('div', { class: 'stat' }, h('dt', null, name), h('dd', null, figures, words && h('small', null, words)))
  fill(view.stats, h('dl', { class: 'stats' },
    lanes.length > 0 && figure('Commands in', rate(sum('publish_rate')), `out ${rate(sum('ack_rate'))}`),
    lanes.length > 0 && figure('Waiting', count(sum('ready')), `${count(sum('unacked'))} at work`),
    view.counts && figure('Answered', count(view.counts.answered), 'in 15 minutes'),
    view.counts && figure('Failed', h('span', { class: failedIn > 0 ? 'bad' : '' }, count(failedIn)), `${count(view.counts.open)} without outcome yet`),
    view.connected && figure('Clients', view.connected.known ? count(view.connected.platform_total ?? view.connected.total) : '–', view.connected.known ? 'connected' : 'not known')))
}

/** Only where all was seen a moment ago nothing is wrong. */
function showTroubles(view) {
  const found = troubles(view)
  const blind = view.unseen.size > 0 || view.outages.since.size > 0
  if (found.length === 0 && view.asked.size > 0) return // what is asked for the first time will tell
  if (blind && found.length === 0) {
    fill(view.troubles, h('div', { class: 'troubles', role: 'status' }, h('div', { class: 'trouble' }, h('span', { class: 'mark', 'aria-hidden': 'true' }, '?'),
      h('p', { class: 'what' }, 'Not everything can be seen now'), h('p', { class: 'dim' }, 'What is shown is what was known last. It is asked again by itself.'))))
    return
  }
  fill(view.troubles, h('div', { class: 'troubles', role: 'status', 'aria-live': 'polite' }, found.length === 0
    ? h('div', { class: 'trouble fine' }, h('span', { class: 'mark', 'aria-hidden': 'true' }, '✓'), h('p', { class: 'what' }, 'Nothing is wrong'), h('p', { class: 'dim' }, 'Every lane has its dispatchers, nothing piles up, and nothing failed in the last 5 minutes.'))
    : found.map(({ kind, what, why, link, word }) => h('div', { class: `trouble ${kind}` },
      h('span', { class: 'mark', 'aria-hidden': 'true' }, kind === 'bad' ? '✕' : '!'), h('p', { class: 'what' }, visible(what)), why && h('p', { class: 'dim' }, visible(why)),
      link && h('a', { class: 'button small go', href: link }, word)))))
}

/** A card for each lane, made once: its plots live on. */
function showLanes(view, signal, hold) {
  const { picture } = view.history
  const lanes = picture.queues.filter(({ kind }) => kind === 'lane')
  let grid = view.lanes.querySelector('.lanes')
  if (!grid) {
    grid = h('div', { class: 'lanes' })
    fill(view.lanes, grid)
  }
  for (const queue of lanes) {
    if (!view.cards.has(queue.queue)) view.cards.set(queue.queue, laneCard(queue, signal, hold))
    view.cards.get(queue.queue).show(queue, view.history)
  }
  const wanted = lanes.map((queue) => view.cards.get(queue.queue).element)
  if (wanted.length === 0) fill(grid, empty('There is no lane', 'No lane\'s queue has been declared yet.'))
  else if (wanted.length !== grid.childElementCount || wanted.some((card, i) => grid.children[i] !== card)) fill(grid, wanted)
}

function laneCard({ queue: name }, signal, hold) {
  const figures = h('dl', { class: 'figures' })
  const [mark, note] = [h('span', { class: 'row' }), h('div', { hidden: true })]
  let latest, held
  const plots = lanePlots(signal)
  const element = h('article', { class: 'panel lane' }, h('header', null, h('h3', null, 'Lane ', value(laneOf(name))), mark), note, figures, plots.element)
  const show = (queue, history) => {
    const figure = (label, text, kind) => h('div', null, h('dt', null, label), h('dd', { class: kind }, text))
    fill(figures, figure('waiting', count(queue.ready), queue.consumers === 0 && queue.ready > 0 ? 'bad' : ''), figure('at work', count(queue.unacked)),
      figure('in', rate(queue.publish_rate)), figure('out', rate(queue.ack_rate)),
      figure('oldest', age(history.oldest(queue))), figure('consumers', count(queue.consumers), queue.consumers === 0 ? 'bad' : ''))
    // The button is left alone while nothing about it changes: somebody may be about to press it.
    latest = queue
    const now = JSON.stringify([queue.paused, queue.draining, queue.consumers === 0])
    if (now !== held) {
      fill(mark, queue.draining ? tag('draining', 'warn') : queue.paused ? tag('paused', 'warn') : queue.consumers === 0 ? tag('no dispatcher', 'bad') : tag('running', 'ok'), hold(laneOf(name), queue.paused, () => latest.ready))
      note.hidden = !queue.paused
      fill(note, pauseNote(queue.paused))
    }
    held = now
    plots.show((...fields) => history.series(name, ...fields))
  }
  return { element, show }
}

/** A lane over time: each plot with its name, and whose figures it shows. */
function lanePlots(signal) {
  const whole = (n) => Number.isInteger(n) ? n >= 1000 ? `${n / 1000}k` : String(n) : ''
  const seconds = (n) => n === null ? '–' : n === 0 ? '0' : span(n * 1000)
  const all = [
    { fields: ['ready'], series: [{ label: 'waiting', value: count, tick: whole }] },
    { fields: ['publish_rate', 'ack_rate'], series: [{ label: 'in', value: rate, tick: (n) => n >= 1000 ? `${n / 1000}k` : String(n) }, { label: 'out, each second', value: rate }] },
    { fields: ['oldest'], series: [{ label: 'age of the oldest', value: seconds, tick: seconds }] },
    { fields: ['consumers'], series: [{ label: 'consumers', value: count, tick: whole }] },
  ].map(({ fields, series }) => {
    const place = h('div', { class: 'plot' })
    const name = h('figcaption', { class: 'plot-name' }, series.map(({ label }, i) => h('span', null, h('i', { class: i > 0 ? 'second' : '' }), label)))
    return { fields, plot: new Plot(place, series, signal), figure: h('figure', null, name, place) }
  })
  return {
    element: h('div', { class: 'plots' }, all.map(({ figure }) => figure)),
    show: (series) => { for (const { fields, plot } of all) plot.show(series(...fields)) },
  }
}

function showQueues(view) {
  const rest = view.history.picture.queues.filter(({ kind }) => kind !== 'lane')
  const names = { dead: 'dead letters to be recorded', mailbox: 'outcomes for clients that are away', push: 'outcomes on their way to clients', parked: 'commands for devices that are paused' }
  const columns = ['Queue', 'Waiting', 'At work', 'Consumers', 'In', 'Out', 'Oldest']
  const cell = (label, text, kind = 'num') => h('td', { class: kind, data: { label } }, text)
  fill(view.queues, panel('Behind the lanes', h('div', { class: 'table-wrap' }, h('table', { 'aria-label': 'Queues behind the lanes' },
    h('thead', null, h('tr', null, columns.map((name, i) => h('th', { scope: 'col', class: i > 0 ? 'num' : '' }, name)))),
    h('tbody', null, rest.map((queue) => h('tr', null,
      h('td', { data: { label: 'Queue' } }, h('div', null, value(queue.queue.replace('cupline.', '')), h('br'), h('span', { class: 'dim' }, names[queue.kind]))),
      cell('Waiting', count(queue.ready)), cell('At work', count(queue.unacked)), cell('Consumers', queue.kind === 'parked' ? '–' : h('span', { class: queue.consumers === 0 ? 'bad' : '' }, count(queue.consumers))),
      cell('In', rate(queue.publish_rate)), cell('Out', rate(queue.ack_rate)), cell('Oldest', age(view.history.oldest(queue))))))))))
}

function showReasons({ reasons, counts, groups }) {
  const failures = Object.entries(counts.failed).sort(([, a], [, b]) => b - a)
  const most = Math.max(counts.answered, ...failures.map(([, n]) => n), 1)
  const line = (name, n, kind, link) => h('li', null, link ? h('a', { href: link }, value(name)) : name,
    h('div', { class: `bar ${kind}`, 'aria-hidden': 'true' }, h('i', { vars: { part: `${n / most * 100}%` } })), h('span', { class: 'num' }, count(n)))
  const died = groups.reduce((all, group) => all + group.count, 0)
  fill(reasons, panel('Outcomes of the last 15 minutes',
    counts.answered + failures.length === 0 ? h('p', { class: 'dim' }, 'No command has ended in that time.') : h('ul', { class: 'reasons' },
      line('answered', counts.answered, ''), failures.map(([reason, n]) => line(reason, n, 'bad', href('dead-letters/list', { reason, window: '1h' })))),
    h('p', { class: 'dim' }, h('a', { href: href('dead-letters', { window: '1h' }) }, `${many(died, 'dead letter')}`), ' in the last hour.')))
}

function showClients({ clients, connected }) {
  const { known, missing, total, platform_total: all, clients: list } = connected
  const words = known ? facts(['of this tenant', count(total)], ['of all tenants', all === undefined ? '' : count(all)]) : h('p', { class: 'dim' }, 'Not known: ', visible(missing ?? ''), '.')
  fill(clients, panel('Connected clients', words, known && list.length > 0 && h('p', { class: 'row' }, list.slice(0, 30).map(({ client, pushers }) => h('span', { class: 'tag', title: `on ${pushers.join(', ')}` }, visible(client))),
    total > 30 && h('span', { class: 'dim' }, `and ${count(total - 30)} more`))))
}
