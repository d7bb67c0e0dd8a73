// Small parts that pages share.
import { fill, h, value, visible } from './dom.js'
import { clock, reasonKind } from './format.js'

export function tag(text, kind = '') {
  return h('span', { class: `tag ${kind}` }, visible(text))
}

export function reasonTag(reason) {
  return reason ? tag(reason, reasonKind(reason)) : ''
}

export function executedTag(executed) {
  return executed === 'no' ? tag('not run', 'ok') : executed === 'maybe' ? tag('maybe run', 'bad') : ''
}

export function stateTag(state) {
  return tag(state, { open: 'warn', redriving: 'accent', redriven: 'ok', answered: 'ok', decided: '', running: 'accent', paused: 'warn', done: 'ok' }[state] ?? '')
}

/** Grey lines in the place of what is being loaded. */
export function skeleton(lines = 6) {
  return h('div', { class: 'skeleton', role: 'status', 'aria-label': 'loading' }, Array.from({ length: lines }, () => h('span')))
}

/** That there is nothing, and what that means. */
export function empty(title, words, ...more) {
  return h('div', { class: 'state' }, h('strong', null, title), words && h('p', null, words), more)
}

/** That something could not be loaded, and what to do. */
export function failed(error, again) {
  const title = error.status === 403 ? 'This key may not see this' : error.status === 404 ? 'There is no such thing here' : 'This could not be loaded'
  return failure(title, error, { role: 'alert' }, again && h('button', { type: 'button', on: { click: again } }, 'Try again'))
}

/** That something was not done, as far as anybody knows; it is read out by what it is put into. */
export function notDone(error) {
  return failure(error.status === 0 || error.status === 504 || error.code === 'internal' ? 'Nobody knows whether it was done' : 'It was not done', error)
}

function failure(title, error, properties, ...more) {
  const words = error.status === undefined ? 'The console itself failed. Loading the page anew may help.' : error.message
  return h('div', { class: 'state failed', ...properties }, h('strong', null, title), h('p', null, visible(words)), more)
}

/** Names and values under each other; values that are empty are left out. */
export function facts(...rows) {
  return h('dl', { class: 'facts' }, rows.filter((row) => row && row[1] !== '' && row[1] !== null && row[1] !== undefined)
    .map(([name, what]) => [h('dt', null, name), h('dd', null, typeof what === 'string' ? value(what) : what)]))
}

export function panel(title, ...children) {
  return h('section', { class: 'panel' }, h('header', null, typeof title === 'string' ? h('h2', null, title) : title), children)
}

/** A page's own heading, with what can be done there, and how fresh it is. */
export function pageHead(title, { crumbs, actions = [], words } = {}) {
  const fresh = h('span', { class: 'fresh', hidden: true })
  const element = h('header', { class: 'page-head' },
    h('div', null, crumbs && h('p', { class: 'crumbs' }, crumbs), h('h1', { tabindex: '-1' }, title), words && h('p', { class: 'dim' }, words)),
    h('div', { class: 'actions' }, fresh, actions))
  return {
    element,
    updated() {
      fresh.hidden = false
      fresh.className = 'fresh'
      fill(fresh, `as of ${clock(new Date())}`)
      fresh.dataset.at = clock(new Date())
    },
    stale() {
      fresh.hidden = false
      fresh.className = 'fresh stale'
      fill(fresh, fresh.dataset.at ? `as of ${fresh.dataset.at}, trying again` : 'trying again')
    },
  }
}

export function field(label, control, wide) {
  return h('label', { class: `field${wide ? ' wide' : ''}` }, h('span', null, label), control)
}

export function select(name, options, chosen) {
  return h('select', { name }, options.map(([of, text]) => h('option', { value: of, selected: of === (chosen ?? '') }, text)))
}

/** Copies a text; says so on the button. */
export function copyButton(text, label = 'Copy') {
  const button = h('button', { type: 'button', class: 'small', on: {
    async click() {
      try {
        await navigator.clipboard.writeText(text)
        button.textContent = 'Copied'
      } catch {
        button.textContent = 'Not allowed'
      }
      setTimeout(() => { button.textContent = label }, 1500)
    },
  } }, label)
  return button
}

/** The longest text that is shown at once, in UTF-16 units; the rest waits behind a button. */
const AT_ONCE = 20_000

/** A payload: JSON laid out where it is JSON, else as it is. */
export function bytes(content, { encoding = 'json', short = false, name = 'content' } = {}) {
  const text = encoding === 'hex' ? dump(content) : typeof content === 'string' && encoding === 'text' ? content : JSON.stringify(content, null, 2)
  const pre = h('pre', { class: `bytes${short ? ' short' : ''}`, tabindex: '0', role: 'region', 'aria-label': name }, visible(text.slice(0, AT_ONCE)))
  if (text.length <= AT_ONCE) return pre
  const more = h('button', { type: 'button', class: 'small', on: {
    click() {
      fill(pre, visible(text))
      more.remove()
    },
  } }, `Show all ${text.length.toLocaleString('en')} characters`)
  return h('div', null, pre, more)
}

/** Hexadecimal digits as a dump: offset, bytes, and what of them is printable ASCII. */
export function dump(hex) {
  const lines = []
  for (let at = 0; at < hex.length; at += 32) {
    const pairs = hex.slice(at, at + 32).match(/../g) ?? []
    const ascii = pairs.map((pair) => {
      const code = parseInt(pair, 16)
      return code >= 0x20 && code < 0x7f ? String.fromCharCode(code) : '.'
    }).join('')
    lines.push(`${(at / 2).toString(16).padStart(6, '0')}  ${pairs.join(' ').padEnd(47)}  ${ascii}`)
  }
  return lines.join('\n')
}

let notices
/** Says something in the corner for a while; what failed stays until it is clicked away. */
export function notify(words, { bad = false } = {}) {
  notices ??= document.body.appendChild(h('div', { class: 'notices', role: 'status', 'aria-live': 'polite' }))
  const notice = h('div', { class: `notice appear${bad ? ' failed' : ''}` }, visible(words), ' ',
    h('button', { type: 'button', class: 'quiet small', on: { click: () => notice.remove() } }, 'Dismiss'))
  notices.append(notice)
  while (notices.childElementCount > 4) notices.firstElementChild.remove()
  if (!bad) setTimeout(() => notice.remove(), 8000)
}
