/**
 * What the machine may tell about its link to the world.
 * @typedef {object} WakeEvents
 * @property {() => void} onOffline the network is gone
 * @property {() => void} onOnline it is there again
 * @property {() => void} onAwake a page became visible, or the machine slept: the connection may be dead
 * @property {() => void} onTick every few seconds, or when timers run again
 */

/** How often the clock is looked at, and what gap between two looks counts as sleep, in ms. */
const EVERY = 5_000
const SLEPT = 15_000

/** Listens to a browser's online, offline and visibility events, where there is one, and to gaps in time. */
export class Wake {
  #undo = /** @type {(() => void)[]} */ ([])

  /**
   * @param {WakeEvents} events
   * @param {{every?: number, slept?: number, scope?: typeof globalThis}} [settings]
   */
  constructor(events, { every = EVERY, slept = SLEPT, scope = globalThis } = {}) {
    const page = scope.document
    this.#on(scope, 'offline', events.onOffline)
    this.#on(scope, 'online', events.onOnline)
    this.#on(scope, 'pageshow', events.onAwake)
    this.#on(page, 'visibilitychange', () => page.visibilityState === 'visible' && events.onAwake())
    let last = Date.now()
    const timer = setInterval(() => {
      const gap = Date.now() - last
      last = Date.now()
      if (gap > slept) events.onAwake()
      events.onTick()
    }, every)
    // In Node this alone keeps no program running: the socket does, or the wait for the next.
    if (typeof timer === 'object') /** @type {{unref(): void}} */ (timer).unref()
    this.#undo.push(() => clearInterval(timer))
  }

  /**
   * @param {EventTarget | undefined} target
   * @param {string} name
   * @param {() => void} listener
   */
  #on(target, name, listener) {
    if (typeof target?.addEventListener !== 'function') return
    target.addEventListener(name, listener)
    this.#undo.push(() => target.removeEventListener(name, listener))
  }

  stop() {
    for (const undo of this.#undo.splice(0)) undo()
  }
}
