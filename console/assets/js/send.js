// Sends a command from a form, and shows its outcome as it arrives over the WebSocket.
import { InDoubtError, RefusedError, connect } from '../vendor/client/index.js'
import { ask } from './dialogs.js'
import { fill, h, value, visible } from './dom.js'
import { schemaForm } from './form.js'
import { idText, many, moment, span } from './format.js'
import { bytes, failed, field, panel, tag } from './parts.js'
import { href } from './route.js'

const OTHER = '\u0000other'
/** Outcomes that are shown; older ones go. */
const SHOWN = 20

/** Where browsers reach the pusher. */
function pushUrl() {
  const configured = document.querySelector('meta[name=cupline-push]').content
  return configured || location.origin.replace(/^http/, 'ws')
}

export function sendPanel(ctx, device, type) {
  const methods = Object.keys(type.methods ?? {})
  const outcomes = h('div', { class: 'outcomes', 'aria-live': 'polite', role: 'log', 'aria-label': 'Outcomes' })
  const line = new Line(ctx, outcomes)
  const other = h('input', { name: 'other', placeholder: 'relay.set', autocomplete: 'off', spellcheck: 'false', 'aria-label': 'name of the method' })
  const method = h('select', { name: 'method' }, methods.map((name) => h('option', { value: name }, name)), h('option', { value: OTHER }, 'another …'))
  const ttl = h('input', { name: 'ttl', placeholder: 'as its policy says', autocomplete: 'off' })
  const [params, error] = [h('div'), h('div', { role: 'alert' })]
  const button = h('button', { class: 'primary' }, 'Send')
  let part, asJSON = false
  const render = (initial) => {
    const schema = type.methods?.[method.value]?.params
    other.hidden = method.value !== OTHER
    part = schemaForm(asJSON ? undefined : schema, initial)
    const switchable = typeof schema === 'object' && schema.properties
    fill(params, part.element, switchable && h('button', { type: 'button', class: 'quiet small', on: { click: () => swap() } }, asJSON ? 'Write it in fields' : 'Write it as JSON'))
  }
  const swap = () => {
    const now = part.read()
    asJSON = !asJSON
    render(now)
  }
  method.addEventListener('change', () => { asJSON = false; render() })
  const send = async (event) => {
    event.preventDefault()
    fill(error)
    button.disabled = true
    try {
      await line.send(device.device, method.value === OTHER ? other.value.trim() : method.value, part.read(), ttl.value.trim())
    } catch (cause) {
      const { problem } = cause
      if (problem?.code !== 'invalid_params' || !part.complain(problem.field ?? '', problem.detail)) fill(error, refusal(cause))
    } finally {
      button.disabled = false
    }
  }
  render()
  return panel(h('h2', null, 'Send a command ', line.mark),
    h('form', { class: 'send-form', on: { submit: send } }, field('Method', method), other, params,
      h('details', null, h('summary', null, 'More'), field('Time to live in the queue, such as 30s', ttl)), error, h('div', null, button)),
    h('p', { class: 'dim' }, 'Sent as client ', value(ctx.session.me.client), '. While this page is connected it takes the outcomes of that client, and shows them here.'), outcomes)
}

/** The connection, made with the first command and ended with the page. */
class Line {
  mark = h('span', { class: 'tag', hidden: true, data: { state: '' } })
  #ctx
  #outcomes
  #client
  /** What was sent here, by command id. */
  #sent = new Map()
  /** Outcomes that were here before their 202. */
  #early = new Map()

  constructor(ctx, outcomes) {
    this.#ctx = ctx
    this.#outcomes = outcomes
    ctx.signal.addEventListener('abort', () => { this.#client?.close() })
  }

  async send(device, method, params, ttl) {
    if (!await this.#connect()) return
    const began = performance.now()
    const accepted = await this.#client.post(device, method, params, ttl ? { ttl } : {})
    const card = h('article', { class: 'outcome appear', data: { command: accepted.command_id } })
    this.#add(card)
    const sent = { card, device, method, began, took: performance.now() - began, accepted }
    fill(card, this.#head(sent, tag('accepted', 'accent')), h('p', { class: 'dim', role: 'status' }, `Accepted after ${span(sent.took)}; its outcome is awaited …`))
    this.#sent.set(accepted.command_id, sent)
    const early = this.#early.get(accepted.command_id)
    if (early) this.#arrived(early)
  }

  /** Connects, once; false where somebody rather would not. */
  async #connect() {
    if (this.#client && this.#client.status.state !== 'closed') return true
    const { api, session, signal } = this.#ctx
    const { waiting } = await api.get('/v1/mailbox', { limit: 1 }, signal)
    const taken = waiting === 0 || await ask({
      title: `Take ${many(waiting, 'outcome')} that wait for ${session.me.client}?`, confirm: 'Take them',
      body: h('p', null, 'To show the outcome of what you send, this page has to connect as that client: what waits for it comes here, and counts as delivered. If the key belongs to a program, log in with a key of your own instead.'),
      act: () => true,
    })
    if (!taken) return false
    this.#client = connect({ url: location.origin, pushUrl: pushUrl(), token: session.token, maxWait: 5_000 })
    this.#client.on('outcome', (outcome) => this.#arrived(outcome))
    this.#client.on('state', (status) => this.#state(status))
    this.#state(this.#client.status)
    return true
  }

  #state({ state, error }) {
    this.mark.hidden = false
    this.mark.dataset.state = state
    this.mark.className = `tag ${{ online: 'ok', lagging: 'warn', recovering: 'warn', offline: 'bad', closed: 'bad' }[state] ?? ''}`
    this.mark.title = error?.message ?? ''
    fill(this.mark, state)
  }

  #arrived(outcome) {
    const sent = this.#sent.get(outcome.command_id)
    if (!sent) {
      this.#early.set(outcome.command_id, outcome)
      if (this.#early.size > SHOWN) this.#early.delete(this.#early.keys().next().value)
      // Of a command that is not known a moment later either, it is another's: it is shown all the same, because it is acked.
      setTimeout(() => this.#foreign(outcome), 2_000)
      return
    }
    this.#early.delete(outcome.command_id)
    const { error } = outcome.response
    const ok = outcome.origin === 'device' && !error
    sent.card.className = `outcome ${ok ? 'ok' : 'bad'}`
    sent.card.dataset.outcome = ok ? 'answered' : error?.data?.reason ?? 'error'
    fill(sent.card, this.#head(sent, ok ? tag('answered', 'ok') : tag(error?.data?.reason ?? 'error', 'bad')), words(outcome), bytes(outcome.response, { short: true, name: 'outcome' }),
      h('p', { class: 'dim' }, `Accepted after ${span(sent.took)}, outcome here after ${span(performance.now() - sent.began)}, ${outcome.source === 'mailbox' ? 'by way of the mailbox' : 'live'}.`))
  }

  #foreign(outcome) {
    if (this.#sent.has(outcome.command_id) || !this.#early.delete(outcome.command_id)) return
    this.#add(h('article', { class: 'outcome appear' }, h('header', null, h('strong', null, 'Another outcome of this client: ', value(outcome.method), ' on ', value(outcome.device)), moment(outcome.at)),
      h('p', null, 'id ', h('span', { class: 'mono' }, value(idText(outcome.id)))), bytes(outcome.response, { short: true, name: 'outcome' })))
  }

  #add(card) {
    this.#outcomes.prepend(card)
    while (this.#outcomes.childElementCount > SHOWN) this.#outcomes.lastElementChild.remove()
  }

  #head({ device, method, accepted }, mark) {
    return h('header', null, h('strong', null, value(method), ' on ', value(device)), mark,
      h('a', { href: href(`commands/${accepted.command_id}`) }, 'its life'))
  }
}

/** Why nothing was sent, or nobody knows. */
function refusal(error) {
  const title = error instanceof RefusedError ? 'It was not accepted' : error instanceof InDoubtError ? 'Nobody knows whether it was accepted' : undefined
  return title ? h('div', { class: 'state failed' }, h('strong', null, title), h('p', null, visible(error.message))) : failed(error)
}

/** What an outcome means. */
function words({ origin, response: { error } }) {
  if (!error) return null
  if (origin === 'device') return h('p', null, 'The device answered with an error: ', visible(error.message))
  return h('p', null, visible(error.message), error.data?.executed === 'no' ? '; it was not executed.' : '; it may have been executed.')
}
