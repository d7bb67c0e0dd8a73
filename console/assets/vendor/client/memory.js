/** Remembers the last command ids that were handled, so that an outcome that comes twice is handed over once. */
export class Memory {
  #ids = /** @type {Set<string>} */ (new Set())
  #limit

  /** @param {number} limit how many are kept; the oldest go first */
  constructor(limit) {
    this.#limit = limit
  }

  /** @param {string} id */
  has(id) {
    return this.#ids.has(id)
  }

  /** @param {string} id */
  add(id) {
    this.#ids.add(id)
    // A Set iterates in the order of insertion.
    if (this.#ids.size > this.#limit) this.#ids.delete(/** @type {string} */ (this.#ids.values().next().value))
  }
}
