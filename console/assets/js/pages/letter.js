// One letter whole: what was sent, what became of it, what its client was told, and what can be done.
import { fill, h, value } from '../dom.js'
import { idText, moment } from '../format.js'
import { bindKeys } from '../keys.js'
import { actOnOne, difference } from '../actions.js'
import { live } from '../live.js'
import { marksPanel } from '../marks.js'
import { bytes, copyButton, executedTag, facts, failed, notify, pageHead, panel, reasonTag, skeleton, stateTag, tag } from '../parts.js'
import { go, href } from '../route.js'
import { strip, timeline } from '../timeline.js'

/** While something is under way its end is awaited; else a letter hardly changes. */
const EVERY = { settled: 15_000, moving: 1_000 }

export function page(ctx) {
  const { main, signal, route: { about, query } } = ctx
  const back = `${href('dead-letters/list')}${query.back ? `?${query.back}` : ''}`
  const head = pageHead('Dead letter', { crumbs: h('a', { href: back }, '← Dead letters') })
  const place = h('div', null, skeleton(10))
  fill(main, head.element, place)
  const path = `/v1/dead-letters/${encodeURIComponent(about)}`
  let letter, shown
  const moving = (found, redrive) => {
    if (found.state === 'redriving' || found.state === 'redriven' && !ended(redrive)) setTimeout(() => view.refresh(), EVERY.moving)
  }
  const load = async (s) => {
    const found = await ctx.api.get(path, { tenant: query.tenant }, s)
    const redrive = found.redriven_as ? await ctx.api.get(`/v1/commands/${found.redriven_as}/history`, { tenant: query.tenant }, s).catch(only404) : undefined
    return { found, redrive }
  }
  const view = live(signal, EVERY.settled, load, ({ found, redrive }) => {
    head.updated()
    letter = found
    const now = JSON.stringify([found, redrive])
    if (now === shown) return moving(found, redrive)
    // Nothing is taken away from somebody who is writing a note; the next look shows the rest.
    if (place.querySelector('textarea:not(:placeholder-shown):focus')) return
    shown = now
    fill(place, whole(ctx, found, redrive, act, () => view.refresh()))
    moving(found, redrive)
  }, (error) => {
    head.stale()
    if (!error.temporary || !letter) fill(place, failed(error, () => view.refresh()))
  })
  async function act(kind) {
    const said = await actOnOne(ctx, kind, letter)
    if (!said) return
    notify({ redrive: `Sent again as command ${said.redriven_as}.`, discard: 'Discarded.', undo: 'It is open again.' }[kind])
    view.refresh()
  }
  const open = (kind) => () => letter?.state === 'open' && ctx.session.may('ops:write') && act(kind)
  bindKeys(signal, { r: open('redrive'), d: open('discard'), u: () => go(back) })
}

function only404(error) {
  if (error.status === 404) return undefined // not started yet
  throw error
}

const ended = (redrive) => redrive?.command?.state === 'decided' || redrive?.letters.length > 0

function whole(ctx, letter, redrive, act, again) {
  const acts = ctx.session.may('ops:write')
  const may = acts && letter.state === 'open'
  const { tenant } = ctx.route.query
  return h('div', { class: 'split' }, h('div', { class: 'stack' },
    panel(h('h2', null, value(letter.method), ' on ', value(letter.device)),
      h('p', { class: 'row' }, stateTag(letter.state), reasonTag(letter.reason), executedTag(letter.executed), letter.held && tag('held: died again and again', 'bad')),
      letter.detail && h('p', null, value(letter.detail)),
      may && h('div', { class: 'row' }, h('button', { type: 'button', class: 'primary', on: { click: () => act('redrive') } }, 'Redrive'),
        h('button', { type: 'button', class: 'danger', on: { click: () => act('discard') } }, 'Discard')),
      acts && letter.state === 'discarded' && h('div', { class: 'row' }, h('button', { type: 'button', on: { click: () => act('undo') } }, 'Undo')),
      changed(letter, redrive, tenant), about(letter, tenant)),
    panel(h('h2', null, 'Payload', letter.payload_encoding === 'hex' ? ', in hexadecimal digits: it is no JSON' : ''),
      bytes(letter.payload, { encoding: letter.payload_encoding, name: 'payload' }),
      h('div', { class: 'row' }, copyButton(letter.payload_encoding === 'hex' ? letter.payload : JSON.stringify(letter.payload)))),
    panel('As the broker had it', more('Properties', letter.properties), more('Headers', letter.headers), more('Deaths', letter.deaths))),
  h('div', { class: 'stack' }, panel('What the client was told', told(letter)),
    panel('What happened', strip(letter.events), letter.events.length > 0 ? timeline(letter.events) : h('p', { class: 'dim' }, 'Nothing else is known of it.')),
    marksPanel(ctx, letter, again),
    letter.related.length > 0 && panel('Letters of the same command', h('ul', null, letter.related.map((kin) => h('li', { class: 'row' },
      h('a', { href: href(`dead-letters/${kin.letter_id}`, { tenant }) }, moment(kin.died_at)), reasonTag(kin.reason), stateTag(kin.state), kin.redrive > 0 ? `redrive ${kin.redrive}` : 'the first'))))))
}

function about(letter, tenant) {
  return facts(['died', moment(letter.died_at)], ['device', h('a', { href: href(`devices/${letter.device}`) }, value(letter.device))], ['device type', letter.device_type],
    ['client', letter.client], ['id', letter.id === null ? h('span', { class: 'dim' }, 'none: one-way') : h('span', { class: 'mono' }, value(idText(letter.id)))],
    ['command', letter.command_id && h('a', { class: 'mono', href: href(`commands/${letter.command_id}`, { tenant }) }, letter.command_id)], ['lane', letter.lane],
    ['redrive', letter.redrive > 0 ? `number ${letter.redrive}` : ''], ['letter', h('span', { class: 'mono' }, letter.letter_id)])
}

function more(name, content) {
  const none = content === null || content === undefined || Object.keys(content).length === 0
  return none ? h('p', { class: 'dim' }, `${name}: none`) : h('details', null, h('summary', null, name), bytes(content, { name, short: true }))
}

function told(letter) {
  if (letter.told === null) return h('p', { class: 'dim' }, letter.id === null ? 'Nothing: a one-way command has no outcome.' : 'Nothing is known of that.')
  return [bytes(letter.told, { name: 'the outcome that the client was told' }),
    h('p', { class: 'dim' }, letter.delivered_at ? ['The client acked it at ', moment(letter.delivered_at), '.'] : 'The client has not acked it yet.')]
}

/** What somebody did to it, and what came of that. */
function changed(letter, redrive, tenant) {
  if (letter.state === 'open') return null
  const by = [' by ', value(letter.changed_by ?? ''), letter.changed_at && [' at ', moment(letter.changed_at)], letter.changed_why && [': ', value(letter.changed_why)]]
  const link = letter.redriven_as && h('a', { class: 'mono', href: href(`commands/${letter.redriven_as}`, { tenant }) }, letter.redriven_as)
  const command = redrive?.command
  const outcome = !letter.redriven_as ? null : command?.state === 'decided'
    ? h('div', { class: `outcome ${command.origin === 'device' ? 'ok' : 'bad'}`, data: { outcome: command.origin } },
      h('strong', null, command.origin === 'device' ? (command.response?.error ? 'The device answered with an error' : 'The device answered') : 'It failed again'),
      bytes(command.response ?? null, { short: true, name: 'outcome of the redrive' }))
    : redrive?.letters.length > 0 ? h('p', { class: 'bad' }, 'It died again.') : h('p', { class: 'dim', role: 'status' }, 'Its outcome is awaited …')
  return h('div', { class: 'outcomes' }, h('p', null, h('strong', null, letter.state), by), link && h('p', null, 'as command ', link), letter.changes?.length > 0 && [h('p', null, 'with other params:'), difference(letter.changes)], outcome)
}
