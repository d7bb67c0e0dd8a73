import { adviceOf } from './advice.js'
import { ConnectionError } from './errors.js'
import { SUBPROTOCOL } from './schema.js'
/** @import {Advice} from './advice.js' */
/** @import {ClientFrame, ServerFrame, OutcomeFrame, WelcomeFrame} from './schema.js' */

/**
 * The part of a WebSocket that is used: a browser's, Node's own from version 22, that of the package ws.
 * @typedef {new (url: string, protocols: string[]) => WebSocket} WebSocketClass
 *
 * How a connection came to its end.
 * @typedef {object} Ending
 * @property {Advice} advice
 * @property {Error} error
 * @property {WelcomeFrame | undefined} welcome undefined when it never came
 * @property {number} lasted ms since welcome
 * @property {boolean} drained
 *
 * @typedef {object} SessionEvents
 * @property {(welcome: WelcomeFrame) => void} onWelcome
 * @property {(frame: OutcomeFrame, session: Session) => void} onOutcome
 * @property {(frame: ServerFrame) => void} onFrame any other
 */

/** Bounds of waiting, in ms: for the socket to open, and for welcome, which after a storm of connects takes its time. */
const DIAL_LIMIT = 10_000
const WELCOME_LIMIT = 45_000
/** What a drain may ask to wait at most, in ms. */
const MAX_DRAIN = 600_000
/** The longest message taken, in UTF-16 units. */
const MAX_MESSAGE = 16 << 20

/** One connection, from dialling to its end. */
export class Session {
  #socket
  #events
  /** @type {WelcomeFrame | undefined} */
  #welcome
  #welcomedAt = 0
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #limit
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #drain
  #drained = false
  /** @type {(ending: Ending) => void} */
  #end = () => {}
  /** When something last came, in ms since 1970. */
  heardAt = Date.now()
  over = false

  /**
   * @param {{WebSocket: WebSocketClass, url: string}} way
   * @param {{token: string, session: string | undefined, window: number}} hello
   * @param {SessionEvents} events
   */
  constructor(way, hello, events) {
    this.#events = events
    /** @type {Promise<Ending>} */
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
    this.#socket = new way.WebSocket(way.url, [SUBPROTOCOL])
    this.#limit = setTimeout(() => this.fail(new ConnectionError('no connection in time')), DIAL_LIMIT)
    this.#socket.onopen = () => this.#opened(hello)
    this.#socket.onmessage = (event) => this.#message(event.data)
    this.#socket.onerror = () => {} // a close always follows, and tells as much
    this.#socket.onclose = (event) => this.#closed(event.code, event.reason)
  }

  /** How many ms of silence a sound connection can have, pings included; Infinity before welcome, which has a limit of its own. */
  get patience() {
    return this.#welcome ? this.#welcome.ping * 1000 : Infinity
  }

  /** Acks everything up to and including seq. @param {number} seq */
  ack(seq) {
    this.send({ type: 'ack', seq })
  }

  /** Sends a frame, or nothing where the connection is over: what is lost with it comes again. @param {ClientFrame} frame */
  send(frame) {
    if (!this.over && this.#socket.readyState === 1) this.#socket.send(JSON.stringify(frame))
  }

  /**
   * Ends the connection for a reason of our own.
   * @param {Error} error
   * @param {Advice} [advice]
   */
  fail(error, advice = 'resume') {
    if (this.over) return
    // A stalled line would keep close waiting for the other side: nobody waits for it.
    this.#socket.close(1000)
    this.#finish(error, advice)
  }

  /** @param {{token: string, session: string | undefined, window: number}} hello */
  #opened(hello) {
    if (this.over) return
    if (this.#socket.protocol !== SUBPROTOCOL) {
      this.fail(new ConnectionError(`the server does not speak ${SUBPROTOCOL}`), 'back_off')
      return
    }
    clearTimeout(this.#limit)
    this.#limit = setTimeout(() => this.fail(new ConnectionError('no welcome in time')), WELCOME_LIMIT)
    this.send({ type: 'hello', ...hello })
  }

  /** @param {unknown} data */
  #message(data) {
    if (this.over) return
    this.heardAt = Date.now()
    if (typeof data !== 'string' || data.length > MAX_MESSAGE) {
      this.fail(new ConnectionError('the server sent what is no frame: binary, or too long'), 'back_off')
      return
    }
    for (const line of data.includes('\n') ? data.split('\n') : [data]) {
      if (this.over) return
      if (line.trim() !== '') this.#take(line)
    }
  }

  /** @param {string} line */
  #take(line) {
    /** @type {ServerFrame} */
    let frame
    try {
      frame = JSON.parse(line)
    } catch (cause) {
      this.fail(new ConnectionError('the server sent what is no JSON', { cause }), 'back_off')
      return
    }
    switch (frame.type) {
      case 'outcome': this.#events.onOutcome(frame, this); break
      case 'ping': this.send({ type: 'pong' }); break
      case 'welcome': this.#welcomed(frame); break
      case 'drain': this.#draining(frame.in); break
      default: this.#events.onFrame(frame) // types that are not known are for later versions
    }
  }

  /** @param {WelcomeFrame} welcome */
  #welcomed(welcome) {
    clearTimeout(this.#limit)
    this.#welcome = welcome
    this.#welcomedAt = Date.now()
    this.#events.onWelcome(welcome)
  }

  /** The platform gives each client a moment of its own. @param {number} wait ms */
  #draining(wait) {
    if (this.#drain !== undefined) return
    this.#drain = setTimeout(() => {
      this.#drained = true
      this.fail(new ConnectionError('the platform asked to connect anew', { code: 4200 }))
    }, Math.min(Math.max(wait, 0), MAX_DRAIN))
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #closed(code, reason) {
    if (code === 4200) this.#drained = true
    const words = [code, reason].filter(Boolean).join(' ')
    this.#finish(new ConnectionError(`the connection was closed: ${words}`, { code }), adviceOf(code))
  }

  /**
   * @param {Error} error
   * @param {Advice} advice
   */
  #finish(error, advice) {
    if (this.over) return
    this.over = true
    clearTimeout(this.#limit)
    clearTimeout(this.#drain)
    const lasted = this.#welcome ? Date.now() - this.#welcomedAt : 0
    this.#end({ advice, error, welcome: this.#welcome, lasted, drained: this.#drained })
  }
}
