// The frame: which pages there are, who is logged in, what is away.
import { fill, h, value, visible } from './dom.js'
import { span } from './format.js'
import { showKeys } from './dialogs.js'
import { bindKeys } from './keys.js'
import { failed, skeleton } from './parts.js'
import { current, go, href } from './route.js'

const PAGES = [
  ['now', 'Now', () => import('./pages/now.js')],
  ['dead-letters', 'Dead letters', () => import('./pages/letters.js')],
  ['commands', 'Commands', () => import('./pages/commands.js')],
  ['devices', 'Devices', () => import('./pages/devices.js')],
  ['audit', 'Audit', () => import('./pages/audit.js')],
]
/** Pages that have no entry of their own, and under which they belong. */
const UNDER = { jobs: 'dead-letters' }
const JOBS = () => import('./pages/jobs.js')

const KEYS = [
  [['j', 'k'], 'next, previous row'], [['Enter'], 'open it'], [['x'], 'choose it'], [['/'], 'search'],
  [['r'], 'redrive what is chosen, or the letter that is open'], [['d'], 'discard it'], [['u'], 'back to the list'],
  [['1', '…', '5'], 'go to a page'], [['?'], 'this list'],
]

const OUTAGES = {
  unreachable: ['The API does not answer.', 'What you see is what was known last; it is tried again by itself.'],
  database: ['The database is away.', 'Commands go on where nothing new has to be looked up; letters wait in the broker. It is tried again by itself.'],
  broker: ['The broker is away, or takes nothing.', 'Commands are refused with 503 meanwhile; nothing accepted is lost. It is tried again by itself.'],
}

export class Shell {
  #root
  #session
  #outages
  #api
  // The frame stands in the page, so that it is painted before any script has run; it is put aside at the log-in.
  #frame
  #main
  #banner
  #nav
  #account
  /** Ends the page that is shown. */
  #page = new AbortController()
  /** Ends what runs in the frame; aborted while nobody is logged in. */
  #framed = ended()

  constructor({ root, session, outages, api }) {
    this.#root = root
    this.#session = session
    this.#outages = outages
    this.#api = api
    this.#frame = [...root.children]
    const part = (selector) => root.querySelector(selector)
    this.#main = part('main')
    this.#banner = part('[role=status]')
    this.#nav = part('nav')
    this.#account = part('.account')
    part('.skip').addEventListener('click', () => this.#main.focus())
  }

  /** Shows the page of the address, in its frame. */
  async show() {
    if (this.#framed.signal.aborted) this.#begin()
    this.#page.abort()
    this.#page = new AbortController()
    const { signal } = this.#page
    const route = current()
    const under = UNDER[route.page] ?? route.page
    const [, title, load] = PAGES.find(([name]) => name === under) ?? []
    for (const link of this.#nav.children) {
      if (link.dataset.page === under) link.setAttribute('aria-current', 'page')
      else link.removeAttribute('aria-current')
    }
    document.title = `${title ?? 'Not found'} · Cupline`
    if (!load) {
      fill(this.#main, h('div', { class: 'state' }, h('strong', null, 'There is no such page'), h('a', { href: href('now') }, 'What is going on now')))
      return
    }
    const waiting = setTimeout(() => this.#main.querySelector('.skeleton') ?? fill(this.#main, skeleton()), 80)
    signal.addEventListener('abort', () => clearTimeout(waiting))
    try {
      const { page } = await (route.page === 'jobs' ? JOBS() : load())
      if (signal.aborted) return
      clearTimeout(waiting)
      scrollTo(0, 0)
      page({ main: this.#main, api: this.#api, session: this.#session, outages: this.#outages, route, signal })
      // What had the focus is gone: a screen reader begins with the page's name.
      if (document.activeElement === document.body) this.#main.querySelector('h1')?.focus({ preventScroll: true })
    } catch (error) {
      clearTimeout(waiting)
      if (!signal.aborted) fill(this.#main, failed(error, () => location.reload()))
      throw error
    }
  }

  /** Ends what runs: nobody is logged in. */
  close() {
    this.#page.abort()
    this.#framed.abort()
    fill(this.#main, skeleton())
    for (const dialog of document.querySelectorAll('dialog')) dialog.close()
  }

  #begin() {
    this.#framed = new AbortController()
    const { signal } = this.#framed
    this.#root.className = 'shell'
    if (!this.#root.contains(this.#main)) fill(this.#root, this.#frame)
    this.#showAccount()
    this.#outages.addEventListener('change', () => this.#tell(), { signal })
    this.#tell()
    this.#probe(signal)
    bindKeys(signal, {
      '?': () => showKeys(KEYS), '/': () => this.#main.querySelector('input[type=search]')?.focus(),
      ...Object.fromEntries(PAGES.map(([name], i) => [String(i + 1), () => go(href(name))])),
    })
  }

  #showAccount() {
    const { me } = this.#session
    const theme = h('button', { type: 'button', class: 'small', on: { click: () => { theme.textContent = nextTheme() } } }, themeWord())
    fill(this.#account,
      h('p', { class: 'who' }, h('strong', null, value(me.client)), h('br'), 'of ', value(me.tenant),
        this.#session.may('ops:platform') ? h('span', null, ', all tenants') : ''),
      h('div', { class: 'row' }, theme,
        h('button', { type: 'button', class: 'small who', on: { click: () => showKeys(KEYS) } }, 'Keys'),
        h('button', { type: 'button', class: 'small', on: { click: () => this.#session.end() } }, 'Log out')))
  }

  #tell() {
    const away = [...this.#outages.since]
    this.#banner.className = away.length > 0 ? 'banner' : ''
    fill(this.#banner, away.map(([name, since]) => {
      const [what, then] = OUTAGES[name]
      return [h('span', null, what), h('span', { class: 'dim' }, Date.now() - since >= 1000 && `For ${span(Date.now() - since)}. `, visible(then))]
    }))
  }

  /** While something is away, asks for it: whatever page is shown, its end is noticed. */
  #probe(signal) {
    const timer = setInterval(() => {
      if (this.#outages.since.size === 0) return
      this.#tell()
      const ask = (path, query) => this.#api.get(path, query, signal).catch(() => {}) // what it says is in outages
      ask(this.#session.may('ops:read') ? '/v1/audit' : '/v1/device-types', { limit: 1 })
      if (this.#outages.since.has('broker') && this.#session.may('ops:platform')) ask('/v1/queues')
    }, 3_000)
    signal.addEventListener('abort', () => clearInterval(timer))
  }
}

function ended() {
  const controller = new AbortController()
  controller.abort()
  return controller
}

const THEMES = ['', 'light', 'dark']

function themeWord() {
  const { theme } = document.documentElement.dataset
  return theme === 'light' ? 'Light' : theme === 'dark' ? 'Dark' : 'Auto'
}

/** Goes from the system's own to light to dark, and remembers it: the only thing kept beyond the tab. */
function nextTheme() {
  const { dataset } = document.documentElement
  const next = THEMES[(THEMES.indexOf(dataset.theme ?? '') + 1) % THEMES.length]
  if (next) dataset.theme = next
  else delete dataset.theme
  try {
    localStorage.setItem('cupline-theme', next)
  } catch {
    // storage is switched off: it lasts until the reload
  }
  window.dispatchEvent(new Event('cupline:theme'))
  return themeWord()
}
