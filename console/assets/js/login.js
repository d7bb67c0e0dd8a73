// Asks for a key or a token, and tries it before anything else is shown.
import { fill, h, icon, visible } from './dom.js'
import { field } from './parts.js'

export function loginView({ root, session, api, why = '' }) {
  root.className = ''
  document.title = 'Log in · Cupline'
  const input = h('input', { name: 'key', type: 'password', required: true, autocomplete: 'current-password', spellcheck: 'false', maxlength: '4096' })
  const error = h('p', { class: 'bad', role: 'alert' }, why && visible(`You were logged out: ${why}.`))
  const button = h('button', { class: 'primary' }, 'Log in')
  const form = h('form', { on: {
    async submit(event) {
      event.preventDefault()
      button.disabled = true
      fill(error)
      try {
        const token = input.value.trim()
        session.begin(token, await api.whose(token))
      } catch (cause) {
        fill(error, visible(cause.message))
        input.focus()
      } finally {
        button.disabled = false
      }
    },
  } },
  h('h1', null, 'Log in'), field('Key or token', input), error, button,
  h('p', { class: 'dim' }, 'It stays in this tab, and is forgotten when the tab is closed. Use a key of your own, with the scopes ',
    h('code', null, 'ops:read'), ' and ', h('code', null, 'ops:write'), ': ', h('code', null, 'cupline keys create'), ' makes one.'))
  fill(root, h('main', { class: 'login' }, h('p', { class: 'brand' }, icon('cup'), 'Cupline'), form))
  input.focus()
}
