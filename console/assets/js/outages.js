// What is away, as the API's answers tell it; it is over when they tell that.

/** Routes that answer without the database. */
const WITHOUT_DATABASE = ['/v1/me', '/v1/queues', '/v1/connected-clients']

/** How long the broker counts as away where nothing is asked that would tell the end of it, in ms. */
const BROKER_FADES = 15_000

export class Outages extends EventTarget {
  /** When each began, in ms since 1970, by its name: unreachable, database, broker. @type {Map<string, number>} */
  since = new Map()
  #broker

  note(name) {
    if (name === 'broker') {
      clearTimeout(this.#broker)
      this.#broker = setTimeout(() => this.#over('broker'), BROKER_FADES)
    }
    if (this.since.has(name)) return
    this.since.set(name, Date.now())
    this.dispatchEvent(new Event('change'))
  }

  /** The API answered, whatever it said. */
  answered() {
    this.#over('unreachable')
  }

  /** A question was answered as it should be. */
  fine(path) {
    this.#over('unreachable')
    if (!WITHOUT_DATABASE.includes(path)) this.#over('database')
    if (path === '/v1/queues') this.#over('broker')
  }

  #over(name) {
    if (this.since.delete(name)) this.dispatchEvent(new Event('change'))
  }
}
