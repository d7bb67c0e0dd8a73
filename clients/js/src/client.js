import { Calls } from './calls.js'
import { Delivery } from './delivery.js'
import { ConnectionError, CuplineError, InDoubtError, NotWaitedError, RefusedError } from './errors.js'
import { Link } from './link.js'
import { post } from './post.js'
import { complete } from './settings.js'
import { StatusBoard } from './status.js'
import { Tokens } from './token.js'
import { uuid } from './uuid.js'
/** @import {Call} from './calls.js' */
/** @import {Accepted, OutcomeFrame, ServerFrame} from './schema.js' */
/** @import {State, Status} from './status.js' */
/** @typedef {import('./settings.js').Settings} Settings */

/**
 * More about a command; all of it may be left out.
 * @typedef {object} SendOptions
 * @property {string | number} [id] the client's own name for the command; a UUID is made where there is none. An id
 *   names one command for as long as the platform remembers it: the same device, method and params with it again
 *   are not executed again
 * @property {string} [ttl] how long it may wait before it is started, such as `30s`
 * @property {AbortSignal} [signal] ends the wait; see {@link NotWaitedError}
 *
 * @typedef {{on: boolean, waiting: number}} Lag
 *
 * @typedef {object} Handlers
 * @property {(outcome: OutcomeFrame) => unknown} outcome
 * @property {(status: Status, previous: State) => unknown} state
 * @property {(lag: Lag) => unknown} lag
 */

/** How long close waits for a handler that is at work, in ms. */
const CLOSE_LIMIT = 5_000

/**
 * Connects to the platform. It returns at once: handlers that are set before the next `await` miss nothing.
 * @param {Settings} settings
 * @throws {TypeError} naming every problem of the settings
 */
export function connect(settings) {
  return new Client(settings)
}

/** A client of the platform: it sends commands over HTTP, and receives their outcomes over a WebSocket. */
export class Client {
  #settings
  #tokens
  #calls = new Calls()
  #board
  #delivery
  #link
  /** @type {{[K in keyof Handlers]: Set<Handlers[K]>}} */
  #handlers = { outcome: new Set(), state: new Set(), lag: new Set() }

  /** @param {Settings} settings */
  constructor(settings) {
    this.#settings = complete(settings)
    this.#tokens = new Tokens(this.#settings.token)
    this.#board = new StatusBoard((status, previous) => this.#tell('state', status, previous))
    this.#delivery = new Delivery((frame) => this.#handle(frame), this.#settings)
    this.#link = new Link({ ...this.#settings, url: this.#settings.pushUrl }, this.#tokens, this.#board, {
      onWelcome: () => {},
      onOutcome: (frame, session) => this.#delivery.add(frame, session, this.#calls.claim(frame)),
      onFrame: (frame) => this.#frame(frame),
    })
    /** Resolves when the client is closed, for good, by {@link close} or by the platform, whose error it then is. */
    this.closed = this.#link.ended.then((error) => this.#over(error))
  }

  /** What is known of the connection now. */
  get status() {
    return this.#board.status
  }

  /**
   * Calls the handler whenever there is news, and returns what ends that. `outcome` gets each outcome that no `send`
   * waits for, one at a time and in order; it is acked after the promise that the handler returns has resolved. Where
   * that rejects, or the handler throws, the connection is made anew and the outcome comes again.
   * @template {keyof Handlers} K
   * @param {K} name
   * @param {Handlers[K]} handler
   */
  on(name, handler) {
    const handlers = this.#handlers[name]
    if (!handlers) throw new TypeError(`there is no event ${String(name)}: outcome, state and lag are`)
    handlers.add(handler)
    return () => {
      handlers.delete(handler)
    }
  }

  /**
   * Sends a command and resolves with its outcome, whatever that says ({@link resultOf} asks it), and by whichever way
   * it comes. Rejects with a {@link RefusedError}, an {@link InDoubtError}, or, where it was accepted and is no longer
   * waited for, a {@link NotWaitedError}. It is sent once, never again by itself.
   * @param {string} device
   * @param {string} method
   * @param {object | unknown[]} [params]
   * @param {SendOptions} [options]
   * @returns {Promise<OutcomeFrame>}
   */
  async send(device, method, params, options = {}) {
    const id = options.id ?? uuid()
    const body = this.#request(id, method, params)
    if (this.#calls.size >= this.#settings.maxCalls) {
      throw new RefusedError(`not sent: ${this.#calls.size} commands wait for their outcomes already`, { id })
    }
    if (this.status.state === 'closed') throw new RefusedError('not sent: the client is closed', { id })
    options.signal?.throwIfAborted()
    const { call, outcome } = this.#begin(id, device, method, options.signal)
    try {
      // Before its answer the outcome may be here, and before that the call is in the book.
      const accepted = this.#post(id, device, body, options).then(
        ({ command_id }) => { call.commandId = command_id },
        (error) => { if (!(error instanceof InDoubtError) || !call.outcome) call.fail(error) },
      )
      return await Promise.all([outcome, accepted]).then(([frame]) => frame)
    } finally {
      this.#calls.remove(call)
    }
  }

  /**
   * Sends a command and resolves when it is accepted; its outcome goes to the `outcome` handlers. With `oneWay` there
   * is none, and posting again is a new command.
   * @param {string} device
   * @param {string} method
   * @param {object | unknown[]} [params]
   * @param {SendOptions & {oneWay?: boolean}} [options]
   * @returns {Promise<Accepted>}
   */
  async post(device, method, params, options = {}) {
    const id = options.oneWay ? null : options.id ?? uuid()
    return this.#post(id, device, this.#request(id, method, params), options)
  }

  /** Fetches a new token and hands it to the platform, before the old one ends. */
  renewToken() {
    return this.#link.renew()
  }

  /** Finishes and acks the outcome that is being handled, says goodbye, and ends. It may be called twice. */
  async close() {
    let timer
    await Promise.race([
      this.#delivery.stop(),
      new Promise((resolve) => {
        timer = setTimeout(resolve, CLOSE_LIMIT)
      }),
    ])
    clearTimeout(timer)
    this.#link.stop()
    await this.closed
  }

  /**
   * @param {string | number | null} id
   * @param {string} method
   * @param {unknown} params
   */
  #request(id, method, params) {
    const request = { jsonrpc: '2.0', ...(id === null ? {} : { id }), method, ...(params === undefined ? {} : { params }) }
    try {
      return JSON.stringify(request)
    } catch (cause) {
      throw new RefusedError('not sent: the params cannot be written as JSON', { id, cause })
    }
  }

  /**
   * @param {string | number | null} id
   * @param {string} device
   * @param {string} body
   * @param {SendOptions} options
   */
  #post(id, device, body, { ttl, signal }) {
    const { url, timeout, fetch } = this.#settings
    return post({ url, tokens: this.#tokens, timeout, fetch }, { id, device, body, ttl, signal })
  }

  /**
   * Puts a call into the book.
   * @param {string | number} id
   * @param {string} device
   * @param {string} method
   * @param {AbortSignal | undefined} signal
   */
  #begin(id, device, method, signal) {
    /** @type {Call} */
    const call = { id, device, method, commandId: undefined, outcome: undefined, answer: () => {}, fail: () => {} }
    /** @type {Promise<OutcomeFrame>} */
    const outcome = new Promise((resolve, reject) => {
      call.answer = resolve
      call.fail = reject
    })
    const aborted = () => {
      // While the POST is under way it is aborted as well, and then it is in doubt.
      if (call.commandId !== undefined) call.fail(notWaited(call, signal?.reason))
    }
    signal?.addEventListener('abort', aborted)
    const forget = () => signal?.removeEventListener('abort', aborted)
    outcome.then(forget, forget)
    this.#calls.add(call)
    return { call, outcome }
  }

  /** @param {OutcomeFrame} frame */
  async #handle(frame) {
    if (this.#handlers.outcome.size === 0) {
      this.#board.unclaimed()
      return
    }
    await Promise.all([...this.#handlers.outcome].map(async (handler) => handler(frame)))
  }

  /** @param {ServerFrame} frame */
  #frame(frame) {
    if (frame.type === 'error') this.#board.told(new ConnectionError(`the platform reports ${frame.code}: ${frame.message}`))
    if (frame.type !== 'lag') return
    this.#board.lag(frame.on, frame.waiting)
    this.#tell('lag', { on: frame.on, waiting: frame.waiting })
  }

  /**
   * Tells handlers whose failure is their own: it is reported as any uncaught error is, and stops nothing here.
   * @template {'state' | 'lag'} K
   * @param {K} name
   * @param {Parameters<Handlers[K]>} news
   */
  #tell(name, ...news) {
    for (const handler of this.#handlers[name]) {
      queueMicrotask(() => /** @type {(...news: unknown[]) => unknown} */ (handler)(...news))
    }
  }

  /** @param {Error | undefined} error */
  #over(error) {
    this.#calls.fail((call) => notWaited(call, error))
    this.#board.closed(error)
    return error
  }
}

/**
 * @param {Call} call
 * @param {unknown} cause
 */
function notWaited(call, cause) {
  const { id, commandId } = call
  const words = commandId ? `command ${commandId} was accepted` : 'the command may have been accepted'
  return commandId
    ? new NotWaitedError(`${words}, and its outcome is no longer waited for`, { id, commandId, cause })
    : new InDoubtError(`${words}: the client was closed before it was told`, { id, cause })
}
