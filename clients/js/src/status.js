/** @import {WelcomeFrame} from './schema.js' */

/**
 * `connecting` for the first time. `online`: outcomes come as they are decided. `lagging`: connected, and outcomes come
 * by way of the mailbox until they are caught up. `recovering`: the connection was lost a moment ago, and the platform
 * keeps its place. `offline`: no connection for longer than that; it is still tried. `closed` for good.
 * @typedef {'connecting' | 'online' | 'lagging' | 'recovering' | 'offline' | 'closed'} State
 *
 * What is known of the connection.
 * @typedef {object} Status
 * @property {State} state
 * @property {Date} since
 * @property {string} session what the last welcome named; empty before
 * @property {string} client the same
 * @property {number} waiting outcomes in the mailbox, as the platform last said
 * @property {number} missed outcomes refused because the mailbox was full, ever
 * @property {number} unclaimed outcomes that no call waited for and no handler was there for; they were acked
 * @property {Error | undefined} error why the last attempt or connection ended, or what the platform reported since; undefined while all is well
 */

/** The status, and who wants to know of its changes. */
export class StatusBoard {
  #changed
  /** @type {Status} */
  #status = {
    state: 'connecting', since: new Date(), session: '', client: '', waiting: 0, missed: 0, unclaimed: 0, error: undefined,
  }
  #keep = 0
  #lostAt = 0

  /** @param {(status: Status, previous: State) => void} changed told of each change of state */
  constructor(changed) {
    this.#changed = changed
  }

  get status() {
    return { ...this.#status }
  }

  /** @param {Partial<Status>} news */
  #set(news) {
    const previous = this.#status.state
    const moved = news.state !== undefined && news.state !== previous
    this.#status = { ...this.#status, ...news, ...(moved ? { since: new Date() } : {}) }
    if (moved) this.#changed(this.status, previous)
  }

  /** @param {WelcomeFrame} welcome */
  welcomed({ session, client, waiting, missed, reconnect }) {
    this.#keep = reconnect * 1000
    this.#set({ state: 'online', session, client, waiting, missed, error: undefined })
  }

  /** @param {boolean} on @param {number} waiting */
  lag(on, waiting) {
    const { state } = this.#status
    const connected = state === 'online' || state === 'lagging'
    this.#set({ waiting, ...(connected ? { state: on ? 'lagging' : 'online' } : {}) })
  }

  /** An attempt or a connection failed. @param {Error} error */
  lost(error) {
    const { state } = this.#status
    if (state === 'online' || state === 'lagging') {
      this.#lostAt = Date.now()
      this.#set({ error, state: 'recovering' })
    } else {
      this.#set({ error, state: state === 'recovering' && Date.now() - this.#lostAt <= this.#keep ? state : 'offline' })
    }
  }

  /** The platform reports what does not end the connection. @param {Error} error */
  told(error) {
    this.#set({ error })
  }

  /** The machine itself says that there is no network. */
  cut() {
    this.#set({ state: 'offline' })
  }

  unclaimed() {
    this.#status.unclaimed++
  }

  /** @param {Error | undefined} error */
  closed(error) {
    this.#set({ state: 'closed', error })
  }
}
