// Tables that the keyboard walks through: j and k go from row to row, enter opens, x chooses.
import { fill, h } from './dom.js'
import { empty } from './parts.js'

/** Parts of one cell stay together where a row is a card. */
function whole(content) {
  return Array.isArray(content) ? h('div', null, content) : content === '' ? null : content
}

/**
 * @param {{label: string, columns: {name: string, cell: (row: object) => unknown, class?: string, sort?: string}[],
 *   key: (row: object) => string, open?: (row: object) => void, choose?: (chosen: Set<string>) => void,
 *   sort?: {by: string, change: (by: string) => void}, none?: Node}} options
 */
export class Table {
  #options
  #body = h('tbody')
  #rows = []
  #here = ''
  #print = ''
  #all
  chosen = new Set()

  constructor(options) {
    this.#options = options
    const { columns, label, choose } = options
    if (choose) this.#all = h('input', { type: 'checkbox', 'aria-label': 'choose all on this page', on: { change: () => this.#chooseAll() } })
    this.element = h('div', { class: 'table-wrap' }, h('table', { 'aria-label': label },
      h('thead', null, h('tr', null, choose && h('th', { class: 'check', scope: 'col' }, this.#all), columns.map((column) => this.#head(column)))),
      this.#body))
    this.none = h('div', { hidden: true }, options.none ?? empty('Nothing here'))
    this.element.append(this.none)
  }

  #head({ name, class: className, sort }) {
    const { sort: sorting } = this.#options
    if (!sort || !sorting) return h('th', { class: className, scope: 'col' }, name)
    const down = sorting.by === `-${sort}`
    const active = down || sorting.by === sort
    return h('th', { class: className, scope: 'col', 'aria-sort': active ? (down ? 'descending' : 'ascending') : undefined },
      h('button', { type: 'button', on: { click: () => sorting.change(down ? sort : `-${sort}`) } }, name, active ? (down ? ' ↓' : ' ↑') : ''))
  }

  /** Shows these rows; where the keyboard was, it stays. Rows that are as before are left alone, within a minute. */
  show(rows) {
    const print = JSON.stringify([rows, Math.floor(Date.now() / 60_000)])
    if (print === this.#print) return
    this.#print = print
    this.#rows = rows
    const { key } = this.#options
    const held = document.activeElement?.closest?.('tr')
    const focused = held && this.#body.contains(held) ? held.dataset.key : undefined
    const there = new Set(rows.map(key))
    for (const id of this.chosen) if (!there.has(id)) this.chosen.delete(id)
    fill(this.#body, rows.map((row) => this.#row(row)))
    this.none.hidden = rows.length > 0
    this.element.firstElementChild.hidden = rows.length === 0
    this.#mark()
    if (focused !== undefined) this.#focus([...this.#body.children].find((line) => line.dataset.key === focused))
  }

  /** Gives the focus to a row's link or box, so that a screen reader says where it is. */
  #focus(line) {
    const own = line?.querySelector('a') ?? line?.querySelector('input')
    own?.focus({ preventScroll: true })
  }

  get rows() {
    return this.#rows
  }

  #row(row) {
    const { columns, key, open, choose } = this.#options
    const id = key(row)
    return h('tr', { data: { key: id }, on: {
      click: (event) => {
        if (!open || event.target.closest('a, button, input, label') || String(getSelection()) !== '') return
        this.#here = id
        open(row)
      },
    } },
    choose && h('td', { class: 'check' }, h('input', {
      type: 'checkbox', 'aria-label': 'choose', checked: this.chosen.has(id), on: { change: () => this.#toggle(id) },
    })),
    columns.map(({ name, cell, class: className }) => h('td', { class: className, data: { label: name } }, whole(cell(row)))))
  }

  #toggle(id) {
    if (!this.chosen.delete(id)) this.chosen.add(id)
    this.#mark()
    this.#options.choose(this.chosen)
  }

  #chooseAll() {
    const { key, choose } = this.#options
    if (this.#all.checked) for (const row of this.#rows) this.chosen.add(key(row))
    else this.chosen.clear()
    this.#mark()
    choose(this.chosen)
  }

  /** Forgets what was chosen. */
  clear() {
    this.chosen.clear()
    this.#mark()
    this.#options.choose?.(this.chosen)
  }

  #mark() {
    for (const line of this.#body.children) {
      const chosen = this.chosen.has(line.dataset.key)
      line.classList.toggle('here', line.dataset.key === this.#here)
      line.classList.toggle('chosen', chosen)
      const box = line.querySelector('td.check input')
      if (box) box.checked = chosen
    }
    if (this.#all) {
      this.#all.checked = this.#rows.length > 0 && this.chosen.size === this.#rows.length
      this.#all.indeterminate = this.chosen.size > 0 && !this.#all.checked
    }
  }

  #move(by) {
    const { key } = this.#options
    if (this.#rows.length === 0) return
    const at = this.#rows.findIndex((row) => key(row) === this.#here)
    const next = at < 0 ? (by > 0 ? 0 : this.#rows.length - 1) : Math.min(Math.max(at + by, 0), this.#rows.length - 1)
    this.#here = key(this.#rows[next])
    this.#mark()
    const line = this.#body.children[next]
    line.scrollIntoView({ block: 'nearest' })
    this.#focus(line)
  }

  /** What the keyboard does here, for bindKeys. */
  get keys() {
    const { key, open, choose } = this.#options
    const act = (what) => () => {
      const row = this.#rows.find((one) => key(one) === this.#here)
      if (row) what(row)
    }
    return {
      j: () => this.#move(1), k: () => this.#move(-1), ArrowDown: () => this.#move(1), ArrowUp: () => this.#move(-1),
      ...(open ? { Enter: act(open), o: act(open) } : {}),
      ...(choose ? { x: act((row) => this.#toggle(key(row))) } : {}),
    }
  }
}
