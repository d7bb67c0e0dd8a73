// A scripted platform: the WebSockets that a client opens, and the answers to its POSTs, are the test's to play.
import { connect } from '../src/index.js'

/** Waits for what a script waits for, and says what did not come. */
export class Mail {
  #items = []
  #waiting = []
  put(item) {
    const next = this.#waiting.shift()
    if (next) next(item)
    else this.#items.push(item)
  }
  get size() {
    return this.#items.length
  }
  take(what = 'anything', limit = 30_000) {
    if (this.#items.length > 0) return Promise.resolve(this.#items.shift())
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), limit)
      this.#waiting.push((item) => {
        clearTimeout(timer)
        resolve(item)
      })
    })
  }
}

class Socket {
  readyState = 0
  frames = new Mail()
  closed = new Mail()
  #seq = 0
  constructor(url, protocols) {
    Object.assign(this, { url, protocol: protocols[0] })
  }
  send(data) {
    for (const line of data.split('\n')) this.frames.put(JSON.parse(line))
  }
  close(code) {
    this.readyState = 3
    this.closed.put(code)
  }

  // From here on it is the script that speaks.
  async open(welcome = {}) {
    this.readyState = 1
    this.onopen()
    const hello = await this.frames.take('hello')
    this.say({ type: 'welcome', session: 's-1', client: 'me', window: 64, ping: 25, waiting: 0, missed: 0, reconnect: 60, ...welcome })
    return hello
  }
  say(...frames) {
    this.onmessage({ data: frames.map((f) => typeof f === 'string' ? f : JSON.stringify(f)).join('\n') })
  }
  outcome(fields = {}) {
    const frame = outcome({ seq: ++this.#seq, ...fields })
    this.say(frame)
    return frame
  }
  lose(code = 1006, reason = '') {
    this.readyState = 3
    this.onclose({ code, reason })
  }
}

export function outcome(fields) {
  const id = fields.id ?? 'c-1'
  return {
    type: 'outcome', id, command_id: '01908c3e-7d2a-7000-8000-000000000001', redrive: 0, device: 'lamp-1', method: 'relay.set',
    at: '2026-03-01T12:00:00.25Z', origin: 'device', source: 'live', response: { jsonrpc: '2.0', id, result: { on: true } }, ...fields,
  }
}

/** A client, and the platform that it talks to; the client is closed when the test ends. */
export function scripted(t, settings = {}) {
  const sockets = new Mail()
  const posts = new Mail()
  class WebSocket extends Socket {
    constructor(...way) {
      super(...way)
      sockets.put(this)
    }
  }
  const client = connect({
    url: 'http://api.test', pushUrl: 'ws://push.test', token: 'cup_1', WebSocket, minWait: 1, maxWait: 4,
    fetch: (url, init) => new Promise((resolve, reject) => {
      const abort = () => reject(init.signal.reason)
      if (init.signal.aborted) abort()
      init.signal.addEventListener('abort', abort)
      posts.put({
        url, init, request: JSON.parse(init.body), fail: reject,
        answer: (status, body, headers = {}) => resolve(new Response(JSON.stringify(body), {
          status, headers: { 'Content-Type': status < 400 ? 'application/json' : 'application/problem+json', ...headers },
        })),
      })
    }),
    ...settings,
  })
  const states = new Mail()
  client.on('state', (status) => states.put(status.state))
  t.after(() => client.close())
  return { client, sockets, posts, states }
}

/** Lets everything that is ready run. */
export const settle = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))

export function deferred() {
  const d = {}
  d.promise = new Promise((resolve, reject) => Object.assign(d, { resolve, reject }))
  return d
}
