import { fullJitter } from './advice.js'
import { ConnectionError } from './errors.js'
import { CLOSE_CODES } from './schema.js'
import { Session } from './session.js'
import { Wake } from './wake.js'
/** @import {Ending, SessionEvents, WebSocketClass} from './session.js' */
/** @import {StatusBoard} from './status.js' */
/** @import {Tokens} from './token.js' */

/** How long a connection has to last before the wait after it starts small again, in ms. */
const SETTLED = 10_000
/** What a connection is allowed beyond the silence in which a ping comes, in ms: while awake two pings, else one. */
const GRACE = 5_000
/** The longest wait for a new token before one ends, in ms: longer ones would overflow a timer. */
const MAX_TIMER = 2 ** 31 - 1

/**
 * @typedef {object} LinkSettings
 * @property {WebSocketClass} WebSocket
 * @property {string} url
 * @property {number} window
 * @property {number} minWait
 * @property {number} maxWait
 */

/** Keeps one connection to the platform: makes it, makes it anew, and stops when told that it is of no use. */
export class Link {
  #settings
  #tokens
  #board
  #events
  #wake
  /** @type {Session | undefined} */
  #session
  #previous = /** @type {string | undefined} */ (undefined)
  /** Ends the wait before the next attempt. */
  #hurry = () => {}
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #renewal
  #stopping = false
  /** Rejects at the end, so that nothing is waited for any longer. @type {(error: Error) => void} */
  #giveUp = () => {}
  /** @type {Promise<never>} */
  #stopped = new Promise((_, reject) => {
    this.#giveUp = reject
  })

  /**
   * @param {LinkSettings} settings
   * @param {Tokens} tokens
   * @param {StatusBoard} board
   * @param {SessionEvents} events
   */
  constructor(settings, tokens, board, events) {
    this.#settings = settings
    this.#tokens = tokens
    this.#board = board
    this.#events = { ...events, onWelcome: (/** @type {Parameters<SessionEvents['onWelcome']>[0]} */ welcome) => this.#welcomed(welcome) }
    this.#wake = new Wake({
      onOffline: () => this.#cut(),
      onOnline: () => this.#hurry(),
      onAwake: () => this.#awake(),
      onTick: () => this.#suspect(2),
    })
    this.#stopped.catch(() => {})
    /** Resolves when it is over for good: with the error of the platform's stop, else undefined. */
    this.ended = this.#supervise()
  }

  /** Says goodbye and ends. */
  stop() {
    this.#stopping = true
    this.#session?.send({ type: 'bye' })
    this.#session?.fail(new ConnectionError('closed'))
    this.#hurry()
    this.#giveUp(new ConnectionError('closed'))
  }

  /** Fetches a new token and gives it to the platform over the connection there is. */
  async renew() {
    const token = await this.#tokens.fetch()
    this.#session?.send({ type: 'auth', token })
    this.#planRenewal()
  }

  async #supervise() {
    let failures = 0
    for (;;) {
      const end = await this.#attempt()
      if (this.#stopping) break
      if (end.advice === 'stop') {
        this.#tidy()
        return end.error
      }
      if (end.welcome) this.#previous = end.welcome.session
      if (end.lasted >= SETTLED) failures = 0
      this.#board.lost(end.error)
      if (end.drained && end.welcome) continue
      const { minWait, maxWait } = this.#settings
      await this.#pause(fullJitter(minWait, maxWait, failures) + (end.advice === 'back_off' ? minWait : 0))
      failures++
      if (this.#stopping) break
    }
    this.#tidy()
    return undefined
  }

  #tidy() {
    this.#wake.stop()
    clearTimeout(this.#renewal)
  }

  /** One connection from its beginning to its end. @returns {Promise<Ending>} */
  async #attempt() {
    try {
      const { fetched } = this.#tokens
      const token = await Promise.race([this.#tokens.known(), this.#stopped])
      const fresh = this.#tokens.fetched > fetched
      const { window } = this.#settings
      this.#session = new Session(this.#settings, { token, session: this.#previous, window }, this.#events)
      return this.#afterToken(await this.#session.ended, fresh)
    } catch (cause) {
      const error = new ConnectionError('no connection: no token, or an address that is none', { cause })
      return { advice: 'back_off', error, welcome: undefined, lasted: 0, drained: false }
    } finally {
      this.#session = undefined
      clearTimeout(this.#renewal)
    }
  }

  /**
   * A token that has ended by the platform's clock is not tried again, however good it looks by ours. One that is refused ends the
   * client only where it was fetched for this very connection.
   * @param {Ending} end
   * @param {boolean} fresh
   * @returns {Ending}
   */
  #afterToken(end, fresh) {
    const code = end.error instanceof ConnectionError ? end.error.code : undefined
    if (code !== CLOSE_CODES.badToken && code !== CLOSE_CODES.tokenExpired) return end
    this.#tokens.refused()
    return end.advice === 'stop' && this.#tokens.renewable && !fresh ? { ...end, advice: 'back_off' } : end
  }

  /** @param {number} wait ms @returns {Promise<void>} */
  #pause(wait) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, wait)
      this.#hurry = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /** @param {Parameters<SessionEvents['onWelcome']>[0]} welcome */
  #welcomed(welcome) {
    this.#board.welcomed(welcome)
    this.#planRenewal()
  }

  #planRenewal() {
    clearTimeout(this.#renewal)
    const wait = this.#tokens.renewAt - Date.now()
    // A fetch that fails is no loss: the connection ends with its token, and the next attempt fetches again.
    if (wait < Infinity) this.#renewal = setTimeout(() => this.renew().catch(() => {}), Math.min(Math.max(wait, 0), MAX_TIMER))
  }

  /** The network is gone: what is known of the connection is worth nothing. It is tried all the same, now and then. */
  #cut() {
    this.#session?.fail(new ConnectionError('the machine says that it is offline'))
    this.#board.cut()
  }

  #awake() {
    this.#suspect(1)
    this.#hurry()
  }

  /**
   * Gives a connection up that has been silent for longer than its pings allow.
   * @param {number} pings that may be missing
   */
  #suspect(pings) {
    const session = this.#session
    if (session && Date.now() - session.heardAt > pings * session.patience + GRACE) {
      session.fail(new ConnectionError('the platform has been silent for too long'))
    }
  }
}
