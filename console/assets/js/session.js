// Who is logged in. The key is kept in memory and in this tab's sessionStorage: it survives a reload and ends with the tab.
// Not in a cookie (which would go along with requests that others cause), and not in localStorage (which every tab has,
// and which stays on the disk for whoever comes next).

const NAME = 'cupline-key'

export class Session extends EventTarget {
  #token = ''
  /** Whose key it is, as /v1/me says; undefined before that is known. */
  me = undefined

  constructor() {
    super()
    try {
      this.#token = sessionStorage.getItem(NAME) ?? ''
    } catch {
      // Storage is switched off: the key lives in memory alone.
    }
  }

  get token() {
    return this.#token
  }

  /** Remembers a key that the API has taken. */
  begin(token, me) {
    this.#token = token
    this.me = me
    try {
      sessionStorage.setItem(NAME, token)
    } catch {
      // as above
    }
    this.dispatchEvent(new Event('begin'))
  }

  /** Forgets the key; why is for people, and empty where they asked for it. */
  end(why = '') {
    this.#token = ''
    this.me = undefined
    try {
      sessionStorage.removeItem(NAME)
    } catch {
      // as above
    }
    this.dispatchEvent(new CustomEvent('end', { detail: why }))
  }

  /** Whether the key may do that. */
  may(scope) {
    return this.me?.scopes.includes(scope) ?? false
  }
}
