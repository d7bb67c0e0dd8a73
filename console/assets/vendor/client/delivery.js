import { ConnectionError } from './errors.js'
import { Memory } from './memory.js'
/** @import {OutcomeFrame} from './schema.js' */
/** @import {Session} from './session.js' */

/** When handled outcomes are acked while more wait: before this part of the window is used up, or after so many ms. */
const ACK_PART = 4
const ACK_EVERY = 200

/** Hands outcomes over, one at a time and in order whatever connection they came by, and acks them in runs. */
export class Delivery {
  #handle
  #window
  #seen
  /** What waits; all of it came by one connection, but while that is being replaced. @type {{frame: OutcomeFrame, session: Session}[]} */
  #queue = []
  /** What was handled and not acked yet: how many, up to where, and since when. @type {{session: Session, seq: number, size: number, since: number} | undefined} */
  #handled
  /** @type {Promise<void> | undefined} */
  #running
  #stopped = false

  /**
   * @param {(frame: OutcomeFrame) => Promise<void>} handle gets what no call waits for
   * @param {{window: number, remember: number}} bounds
   */
  constructor(handle, { window, remember }) {
    this.#handle = handle
    this.#window = window
    this.#seen = new Memory(remember)
  }

  /**
   * @param {OutcomeFrame} frame
   * @param {Session} session
   * @param {boolean} claimed by a call, which has it now
   */
  add(frame, session, claimed) {
    if (this.#stopped) return
    if (claimed) this.#seen.add(frame.command_id)
    // What came by a connection that is over comes again by the next.
    if (this.#queue[0]?.session !== session) this.#queue = this.#queue.filter((item) => !item.session.over)
    if (this.#queue.length >= this.#window) {
      session.fail(new ConnectionError('the server sent more than the window allows'), 'back_off')
      return
    }
    this.#queue.push({ frame, session })
    this.#running ??= this.#run()
  }

  /** Ends: what is being handled is finished and acked, and so is what needs no handler up to the first that does. */
  async stop() {
    this.#stopped = true
    await this.#running
  }

  async #run() {
    await null // a message's other outcomes are queued by then
    for (let item = this.#queue.shift(); item; item = this.#queue.shift()) {
      if (!this.#seen.has(item.frame.command_id)) {
        if (this.#stopped) break
        if (item.session.over || !(await this.#settle(item))) continue
      }
      this.#note(item)
    }
    this.#flush()
    // At once, not when the promise settles: what is added in between would find nobody.
    this.#running = undefined
  }

  /**
   * Hands an outcome over; false when the handler failed: it then comes again, with all behind it.
   * @param {{frame: OutcomeFrame, session: Session}} item
   */
  async #settle({ frame, session }) {
    try {
      await this.#handle(frame)
      this.#seen.add(frame.command_id)
      return true
    } catch (cause) {
      this.#flush()
      session.fail(new ConnectionError(`the outcome of command ${frame.command_id} was not handled`, { cause }), 'back_off')
      return false
    }
  }

  /** @param {{frame: OutcomeFrame, session: Session}} item */
  #note({ frame, session }) {
    const { size, since } = this.#handled?.session === session ? this.#handled : { size: 0, since: Date.now() }
    this.#handled = { session, seq: frame.seq ?? 0, size: size + 1, since }
    const full = size + 1 >= this.#window / ACK_PART || Date.now() - since >= ACK_EVERY
    if (full || this.#queue[0]?.session !== session) this.#flush()
  }

  #flush() {
    this.#handled?.session.ack(this.#handled.seq)
    this.#handled = undefined
  }
}
