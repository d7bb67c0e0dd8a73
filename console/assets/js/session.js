// Who is logged in. The key is kept in memory and in this tab's sessionStorage: it survives a reload and ends with the tab.
// Not in a cookie (which would go along with requests that others cause), and not in localStorage (which every tab has,
// and which stays on the disk for whoever comes next).

const [KEY, OWNER] = ['cupline-key', 'cupline-me']

export class Session extends EventTarget {
  #token = ''
  /** Whose key it is, as /v1/me says, or said before a reload; undefined where nobody is logged in. */
  me = undefined

  constructor() {
    super()
    try {
      const me = JSON.parse(sessionStorage.getItem(OWNER) ?? 'null')
      this.#token = me && sessionStorage.getItem(KEY) || ''
      if (this.#token) this.me = me
    } catch {
      // Storage is switched off: the key lives in memory alone.
    }
  }

  get token() {
    return this.#token
  }

  /** Remembers a key that the API has taken, and whose it is. */
  begin(token, me) {
    const before = JSON.stringify(this.me)
    const same = token === this.#token && before === JSON.stringify(me)
    this.#token = token
    this.me = me
    try {
      sessionStorage.setItem(KEY, token)
      sessionStorage.setItem(OWNER, JSON.stringify(me))
    } catch {
      // as above
    }
    if (!same) this.dispatchEvent(new Event('begin'))
  }

  /** Forgets the key; why is for people, and empty where they asked for it. */
  end(why = '') {
    this.#token = ''
    this.me = undefined
    try {
      sessionStorage.removeItem(KEY)
      sessionStorage.removeItem(OWNER)
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
