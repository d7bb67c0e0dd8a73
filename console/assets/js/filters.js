// Filters of lists: fields whose values stand in the address, so that a link reproduces the view.
import { h, visible } from './dom.js'
import { go, href } from './route.js'
import { field, select } from './parts.js'

export const WINDOWS = [['1h', 'last hour'], ['24h', 'last 24 hours'], ['7d', 'last 7 days'], ['30d', 'last 30 days'], ['all', 'all time']]
/** Of an id its beginning tells enough. */
const UUID = /^([0-9a-f]{8})-[0-9a-f-]{27}$/
const UNITS = { h: 3_600_000, d: 86_400_000 }

/** The API's `from` of a window such as 24h, to the minute, so that asking again asks the same; undefined for all. */
export function windowStart(text, now = Date.now()) {
  const match = /^(\d+)([hd])$/.exec(text)
  if (!match) return undefined
  return new Date(Math.floor((now - Number(match[1]) * UNITS[match[2]]) / 60_000) * 60_000).toISOString()
}

/**
 * The form of a list's filters.
 * @param {{path: string, query: Record<string, string>, fields: {name: string, label: string, options?: string[][], wide?: boolean,
 *   usual?: string, more?: boolean, quiet?: boolean, placeholder?: string}[]}} options more: shown on demand, and where one is set that
 *   is not quiet
 */
export function filterForm({ path, query, fields }) {
  const control = ({ name, options, usual = '', placeholder }) => options
    ? select(name, options, query[name] ?? usual)
    : h('input', { name, value: query[name] ?? '', type: 'search', autocomplete: 'off', spellcheck: 'false', placeholder })
  const one = (item) => field(item.label, control(item), item.wide)
  const rare = fields.filter(({ more }) => more)
  const form = h('form', { class: 'filters', role: 'search', 'aria-label': 'Filters' }, fields.filter(({ more }) => !more).map(one),
    h('button', { class: 'primary' }, 'Apply'),
    rare.length > 0 && h('details', { open: rare.some(({ name, quiet }) => query[name] && !quiet) }, h('summary', null, 'More filters'), h('div', { class: 'filters' }, rare.map(one))))
  const apply = () => {
    const kept = Object.fromEntries(Object.entries(query).filter(([name]) => name !== 'after' && !fields.some((item) => item.name === name)))
    for (const { name, usual = '' } of fields) {
      const value = form.elements[name].value.trim()
      if (value !== usual) kept[name] = value
    }
    go(href(path, kept))
  }
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    apply()
  })
  form.addEventListener('change', (event) => {
    if (event.target.tagName === 'SELECT') apply()
  })
  return form
}

/** What is set, each with a way to unset it. */
export function chips(path, query, names) {
  const set = names.filter((name) => query[name])
  if (set.length === 0) return null
  const without = (gone) => href(path, Object.fromEntries(Object.entries(query).filter(([name]) => name !== 'after' && !gone.includes(name))))
  return h('div', { class: 'chips' }, h('span', { class: 'dim' }, 'Filtered by'), set.map((name) => h('a', {
    class: 'button chip', href: without([name]), title: query[name], 'aria-label': `remove the filter ${name}: ${query[name]}`,
  }, h('span', { class: 'cut' }, visible(`${name.replace('_', ' ')}: ${query[name].replace(UUID, '$1…')}`)))),
  set.length > 1 && h('a', { href: without(set) }, 'Clear all'))
}
