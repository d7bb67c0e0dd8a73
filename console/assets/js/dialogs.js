// Questions that are asked on top of a page.
import { fill, h } from './dom.js'
import { field, notDone } from './parts.js'

/**
 * Opens a dialog and resolves when it closes: with what act returned, or undefined where it was left. act gets the form; where it
 * throws, the dialog stays and says why.
 */
export function ask({ title, body, confirm = 'OK', danger = false, act }) {
  return new Promise((resolve) => {
    let result
    const error = h('div', { role: 'alert' })
    const ok = h('button', { class: `primary${danger ? ' danger' : ''}` }, confirm)
    const form = h('form', { method: 'dialog' }, h('h2', null, title), body, error,
      h('div', { class: 'buttons' }, h('button', { type: 'button', on: { click: () => dialog.close() } }, 'Cancel'), ok))
    const dialog = h('dialog', { 'aria-label': title, on: {
      close() {
        dialog.remove()
        resolve(result)
      },
    } }, form)
    form.addEventListener('submit', async (event) => {
      event.preventDefault()
      if (!form.reportValidity()) return
      ok.disabled = true
      fill(error)
      try {
        result = await act(form)
        dialog.close()
      } catch (cause) {
        fill(error, notDone(cause))
      } finally {
        ok.disabled = false
      }
    })
    document.body.append(dialog)
    dialog.showModal()
    const first = form.elements.reason ?? form.querySelector('input:not([type=checkbox]), textarea, select')
    first?.focus()
  })
}

/** What is remembered of who acts, for this tab: the audit trail has it beside the key. */
let actor = ''

/** The fields of every action: why, and who. */
export function actionFields(reason = '') {
  return [
    field('Why? It stands in the audit trail.', h('input', { name: 'reason', required: true, maxlength: '1000', value: reason, autocomplete: 'off' })),
    field('Who are you? Beside the key, which is noted anyway.', h('input', { name: 'actor', maxlength: '128', value: actor, autocomplete: 'name' })),
  ]
}

/** What the fields say, as the API takes it. */
export function actionOf(form) {
  actor = form.elements.actor.value.trim()
  return { reason: form.elements.reason.value.trim(), ...(actor ? { actor } : {}) }
}

/** Shows which keys do what. */
export function showKeys(rows) {
  const dialog = h('dialog', { 'aria-label': 'Keys', on: { close: () => dialog.remove() } },
    h('form', { method: 'dialog' }, h('h2', null, 'Keys'),
      h('dl', { class: 'keys' }, rows.map(([keys, words]) => [h('dt', null, keys.map((key) => [h('kbd', null, key), ' '])), h('dd', null, words)])),
      h('div', { class: 'buttons' }, h('button', null, 'Close'))))
  document.body.append(dialog)
  dialog.showModal()
}
