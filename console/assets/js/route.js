// Addresses of views. Every view has one that reproduces it, filters and all.

const base = document.querySelector('meta[name=cupline-base]').content

/** The address of a view. Values that are empty are left out. */
export function href(path, query = {}) {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== '' && value !== false) search.set(name, value)
  }
  const text = search.toString()
  return `${base}/${path.split('/').map(encodeURIComponent).join('/')}${text ? `?${text}` : ''}`
}

/** What the address bar says: the page, what it is about, and the rest. */
export function current() {
  const [page = 'now', ...rest] = location.pathname.slice(base.length + 1).split('/').filter(Boolean).map(decode)
  return { page, about: rest.join('/'), query: Object.fromEntries(new URLSearchParams(location.search)) }
}

function decode(part) {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/** Goes to a view; with replace, going back does not lead here again. */
export function go(address, { replace = false } = {}) {
  if (address !== location.pathname + location.search) history[replace ? 'replaceState' : 'pushState'](null, '', address)
  window.dispatchEvent(new Event('cupline:route'))
}

/** Calls back at each change, also by the browser's own buttons and by links. */
export function onRoute(changed) {
  window.addEventListener('popstate', changed)
  window.addEventListener('cupline:route', changed)
  document.addEventListener('click', (event) => {
    const link = event.target.closest?.('a[href]')
    if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
    const url = new URL(link.href)
    if (link.target || url.origin !== location.origin || !(url.pathname + '/').startsWith(base + '/') || url.pathname.includes('/assets/')) return
    event.preventDefault()
    go(url.pathname + url.search)
  })
}
