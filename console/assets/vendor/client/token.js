/**
 * A token, and when it ends where that is known.
 * @typedef {string | {token: string, expiresAt?: Date | number | string}} Token
 *
 * Where tokens come from: the token itself, or what fetches one.
 * @typedef {Token | (() => Token | Promise<Token>)} TokenSource
 */

/** How long before its end a token counts as used up: a tenth of its life, and a minute at most. */
const MARGIN = 60_000
/** How long a token may take to come, in ms. */
const FETCH_LIMIT = 30_000

/** Fetches tokens: one fetch at a time, whoever asks, and none while the last one is good. */
export class Tokens {
  #source
  #now
  /** @type {{token: string, fetchedAt: number, expiresAt: number} | undefined} */
  #current
  /** @type {Promise<string> | undefined} */
  #fetching
  #fetched = 0

  /**
   * @param {TokenSource} source
   * @param {() => number} [now]
   */
  constructor(source, now = Date.now) {
    this.#source = source
    this.#now = now
  }

  /** Tells whether asking again can bring another token. */
  get renewable() {
    return typeof this.#source === 'function'
  }

  /** The moment, in ms since 1970, at which the current token wants to be replaced; Infinity when it says none. */
  get renewAt() {
    if (!this.#current || !this.renewable) return Infinity
    const { fetchedAt, expiresAt } = this.#current
    return expiresAt - Math.min(MARGIN, Math.max(0, expiresAt - fetchedAt) / 10)
  }

  /** The current token; a new one where it is about to end. */
  async get() {
    return this.#current && this.#now() < this.renewAt ? this.#current.token : this.fetch()
  }

  /** The current token where it says how long it is good, and is; else a new one. For a new connection. */
  async known() {
    return this.renewAt < Infinity ? this.get() : this.fetch()
  }

  /** How many tokens were fetched so far. */
  get fetched() {
    return this.#fetched
  }

  /** The platform does not take the current token, whatever was said of its end: where another can be had, it is fetched next. */
  refused() {
    if (this.renewable) this.#current = undefined
  }

  /** A new token. Whoever asks while it is being fetched gets the same. */
  fetch() {
    this.#fetching ??= this.#ask().finally(() => {
      this.#fetching = undefined
    })
    return this.#fetching
  }

  async #ask() {
    const got = typeof this.#source === 'function' ? await inTime(this.#source) : this.#source
    const { token, expiresAt } = typeof got === 'string' ? { token: got, expiresAt: undefined } : got
    if (typeof token !== 'string' || token === '') throw new TypeError('the token is no string, or empty')
    const ends = expiresAt === undefined ? Infinity : new Date(expiresAt).getTime()
    if (Number.isNaN(ends)) throw new TypeError('the token\'s expiresAt is no time')
    this.#current = { token, fetchedAt: this.#now(), expiresAt: ends }
    this.#fetched++
    return token
  }
}

/** @param {() => Token | Promise<Token>} source @returns {Promise<Token>} */
function inTime(source) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no token within ${FETCH_LIMIT / 1000} s`)), FETCH_LIMIT)
    // In Node this keeps no program running: what fetches the token does.
    if (typeof timer === 'object') /** @type {{unref(): void}} */ (timer).unref()
    Promise.resolve().then(source).then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
