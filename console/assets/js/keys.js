// The keyboard: single letters act unless something is being written.

/** Calls what is bound to a key until the signal ends it. Bindings are by event.key. */
export function bindKeys(signal, bindings) {
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey || document.querySelector('dialog[open]')) return
    const { target } = event
    const writing = target.matches?.('input:not([type=checkbox]), textarea, select, [contenteditable]')
    if (writing) {
      if (event.key === 'Escape') target.blur()
      return
    }
    // Enter and space on a button or a link are theirs; on a box only space is.
    if (event.key === 'Enter' && target.closest?.('a, button, summary')) return
    const act = bindings[event.key]
    if (!act) return
    event.preventDefault()
    act(event)
  }, { signal })
}
