// One device: what it is, what its commands came to, and a form to send one.
import { fill, h, value, visible } from '../dom.js'
import { live } from '../live.js'
import { bytes, facts, failed, pageHead, panel, skeleton, tag } from '../parts.js'
import { go, href } from '../route.js'
import { deviceButton, pauseNote } from '../pauses.js'
import { sendPanel } from '../send.js'
import { ending, recentTable } from './commands.js'
import { moment, policy } from '../format.js'

export function page(ctx) {
  const { main, signal, session, route: { about } } = ctx
  const head = pageHead(visible(about), { crumbs: h('a', { href: href('devices') }, '← Devices') })
  const [place, sending, recent] = [h('div', { class: 'stack' }, skeleton(8)), h('div', { class: 'sending' }), h('div')]
  fill(main, head.element, h('div', { class: 'split device' }, place, sending, recent))
  const load = async (s) => {
    const device = await ctx.api.get(`/v1/devices/${encodeURIComponent(about)}`, {}, s)
    return { device, type: await ctx.api.get(`/v1/device-types/${encodeURIComponent(device.type)}`, {}, s) }
  }
  let shown = ''
  const view = live(signal, 30_000, load, ({ device, type }) => {
    head.updated()
    const now = JSON.stringify([device, type])
    if (now === shown) return
    if (shown === '') fill(sending, session.may('commands:send') && session.may('replies:read') ? sendPanel(ctx, device, type)
      : panel('Send a command', h('p', { class: 'dim' }, 'For that a key needs the scopes ', h('code', null, 'commands:send'), ' and ', h('code', null, 'replies:read'), '.')))
    shown = now
    fill(place, whatItIs(device, type, session.may('ops:write') && deviceButton(ctx, device, () => view.refresh())), policies(type))
  }, (error) => {
    head.stale()
    if (!error.temporary || shown === '') fill(place, failed(error, () => view.refresh()))
  })
  if (session.may('ops:read')) showRecent(ctx, about, recent)
}

function whatItIs(device, type, hold) {
  const address = device.address && Object.keys(device.address).length > 0
  return panel([h('h2', null, 'What it is'), hold], pauseNote(device.paused, 'Its commands wait, and expire as ever, until somebody resumes it.'), facts(
    ['type', h('a', { href: href('devices', { type: device.type }) }, value(device.type))], ['lane', type.lane], ['driver', type.driver],
    ['labels', Object.keys(device.labels ?? {}).length > 0 && h('span', { class: 'chips' }, Object.entries(device.labels).map(([name, of]) => h('span', { class: 'tag' }, visible(`${name}: ${of}`))))],
    ['address', address && h('details', null, h('summary', null, 'Show'), bytes(device.address, { short: true, name: 'address' }))]))
}

function policies(type) {
  const methods = Object.entries(type.methods ?? {})
  if (methods.length === 0) return panel('Policies', h('p', { class: 'dim' }, 'None is named: every method counts as not idempotent, has 10 s to answer and 60 s to wait.'))
  const cell = (label, text) => h('td', { data: { label } }, text)
  return panel('Policies', h('div', { class: 'table-wrap' }, h('table', { 'aria-label': 'Method policies' },
    h('thead', null, h('tr', null, ['Method', 'Repeatable', 'Timeout', 'Waits', 'Params'].map((name) => h('th', { scope: 'col' }, name)))),
    h('tbody', null, methods.map(([name, { idempotent, timeout = '10s', ttl = '1m', params }]) => h('tr', null, cell('Method', value(name, { class: 'cut' })),
      cell('Repeatable', idempotent ? tag('yes', 'ok') : tag('no')), cell('Timeout', policy(timeout)), cell('Waits', policy(ttl)),
      cell('Params', params === undefined ? h('span', { class: 'dim' }, 'any') : h('details', null, h('summary', null, 'Schema'), bytes(params, { short: true, name: `schema of ${name}` })))))))))
}

function showRecent(ctx, device, place) {
  const last = h('p', { class: 'row' })
  const table = recentTable({ open: (command) => go(href(`commands/${command.command_id}`)), device: true })
  const list = live(ctx.signal, 5_000, (s) => ctx.api.get('/v1/recent-commands', { device, limit: 20 }, s), ({ commands }) => {
    const decided = commands.find(({ state }) => state === 'decided')
    fill(last, decided ? ['Last outcome: ', ending(decided), ' to ', value(decided.method), ' at ', moment(decided.decided_at)] : 'No outcome lately.')
    if (!place.contains(table.element)) fill(place, panel(h('h2', null, 'Its last commands'), last, table.element))
    table.show(commands)
  }, (error) => {
    if (!error.temporary || !place.contains(table.element)) fill(place, panel('Its last commands', failed(error, () => list.refresh())))
  })
}
