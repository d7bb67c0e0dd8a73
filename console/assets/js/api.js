// The one way to the API.

/** Longer than the API itself ever takes for an answer to the console, in ms. */
const LIMIT = 20_000

/** What the API answered instead of what was asked for, or that it did not answer. */
export class ApiError extends Error {
  constructor(status, problem, words) {
    super(words)
    this.status = status
    this.problem = problem
    /** One of the API's words, or `unreachable`. */
    this.code = problem?.code ?? (status === 0 ? 'unreachable' : 'unknown')
  }

  /** Trying again later may help: nothing is wrong with the request. */
  get temporary() {
    return this.status === 0 || this.status === 429 || this.status >= 500
  }
}

export class Api {
  #session
  #outages

  constructor(session, outages) {
    this.#session = session
    this.#outages = outages
  }

  get(path, query, signal) {
    return this.#ask('GET', path, { query, signal })
  }

  post(path, body, query) {
    return this.#ask('POST', path, { query, body })
  }

  put(path, body, query) {
    return this.#ask('PUT', path, { query, body })
  }

  delete(path, body, query) {
    return this.#ask('DELETE', path, { query, body })
  }

  /** Asks whose key a token is, before it is used for anything. */
  whose(token) {
    return this.#ask('GET', '/v1/me', { token })
  }

  async #ask(method, path, { query = {}, body, signal, token = this.#session.token }) {
    const url = new URL(path, location.origin)
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined && value !== null && value !== '') url.searchParams.set(name, value)
    }
    const limit = AbortSignal.timeout(LIMIT)
    let answer, text
    try {
      answer = await fetch(url, {
        method, signal: signal ? AbortSignal.any([signal, limit]) : limit, cache: 'no-store', credentials: 'omit', redirect: 'error',
        headers: { Authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
        body: body === undefined ? undefined : JSON.stringify(body),
      })
      text = await answer.text()
    } catch (cause) {
      if (signal?.aborted) throw cause
      this.#outages.note('unreachable')
      throw new ApiError(0, undefined, 'The API does not answer')
    }
    const said = parse(text)
    if (answer.ok) {
      this.#outages.fine(path)
      return said
    }
    throw this.#failed(answer, said, token)
  }

  #failed(answer, said, token) {
    const problem = typeof said === 'object' && said !== null && 'code' in said ? said : undefined
    const words = problem ? [problem.title, problem.detail].filter(Boolean).join(': ') : `The API answered ${answer.status}`
    const error = new ApiError(answer.status, problem, words)
    this.#outages.answered()
    if (error.code === 'database_unavailable') this.#outages.note('database')
    if (error.code === 'broker_unavailable' || error.code === 'broker_blocked') this.#outages.note('broker')
    // A proxy's word for an API that is not there.
    if (!problem && answer.status >= 502) this.#outages.note('unreachable')
    if (answer.status === 401 && token === this.#session.token) this.#session.end(problem?.detail ?? 'the key is not accepted')
    return error
  }
}

function parse(text) {
  try {
    return text === '' ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}
