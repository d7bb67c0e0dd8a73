// Elements are made here and nowhere else: whatever comes from the platform becomes text, never markup. The page's
// policy (Trusted Types) has the browser refuse the other way.

/** Characters that are not seen, or that turn around what follows them: controls, bidirectional marks, odd spaces. */
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g

const PROPERTIES = new Set(['value', 'checked', 'disabled', 'indeterminate', 'selected', 'open', 'hidden', 'tabIndex', 'htmlFor'])

/**
 * Makes an element. Of the properties `class`, `data` (dataset), `on` (listeners) and `vars` (custom properties of CSS)
 * are special; all others are attributes. Children that are null, undefined or false are left out.
 */
export function h(name, properties, ...children) {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(properties ?? {})) set(element, key, value)
  element.append(...nodes(children))
  return element
}

function set(element, key, value) {
  if (value === undefined || value === null || value === false && !PROPERTIES.has(key)) return
  switch (key) {
    case 'class': element.className = value; break
    case 'data': Object.assign(element.dataset, value); break
    case 'on': for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener); break
    case 'vars': for (const [variable, part] of Object.entries(value)) element.style.setProperty(`--${variable}`, part); break
    default:
      if (PROPERTIES.has(key)) element[key] = value
      else element.setAttribute(key, value === true ? '' : String(value))
  }
}

/** Children as nodes. */
export function nodes(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => child instanceof Node ? child : String(child))
}

/** Puts these in place of what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children))
  return element
}

/** What came from outside, apart from the text around it and with every character to be seen. */
export function value(text, properties) {
  return h('bdi', properties, visible(text))
}

/** The same without an element around it. */
export function visible(text) {
  const parts = []
  const whole = String(text ?? '')
  let at = 0
  for (const match of whole.matchAll(UNSEEN)) {
    const name = `U+${match[0].codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}`
    parts.push(whole.slice(at, match.index), h('span', { class: 'ctl', title: `the character ${name}` }, name))
    at = match.index + 1
  }
  parts.push(whole.slice(at))
  return parts.filter((part) => part !== '')
}

/** One of the line drawings that stand in the page; it says nothing by itself. */
export function icon(name) {
  const space = 'http://www.w3.org/2000/svg'
  const svg = document.createElementNS(space, 'svg')
  const use = document.createElementNS(space, 'use')
  svg.setAttribute('class', 'icon')
  svg.setAttribute('aria-hidden', 'true')
  use.setAttribute('href', `#icon-${name}`)
  svg.append(use)
  return svg
}
