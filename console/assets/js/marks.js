// Who looks after a letter, its tags, and what operators noted of it.
import { ask } from './dialogs.js'
import { h, value, visible } from './dom.js'
import { moment } from './format.js'
import { field, panel, tag } from './parts.js'

/** Tags, and who looks after something. */
export function marks({ assignee, tags = [] } = {}) {
  if (!assignee && tags.length === 0) return null
  return h('span', { class: 'chips' }, assignee && tag(`@ ${assignee}`, 'accent'), tags.map((name) => tag(`# ${name}`)))
}

/** The panel of a letter: marks of its own and of its group, notes, and a form for more. done is called after each change. */
export function marksPanel(ctx, letter, done) {
  const query = { tenant: ctx.route.query.tenant }
  const path = `/v1/dead-letters/${letter.letter_id}`
  const may = ctx.session.may('ops:write')
  const note = h('textarea', { name: 'note', required: true, maxlength: '4000', class: 'note', placeholder: ' ', 'aria-label': 'a note' })
  const change = async () => {
    const changed = await ask({
      title: 'Who looks after it, and its tags', confirm: 'Save', body: [field('Looked after by', h('input', { name: 'assignee', maxlength: '128', value: letter.assignee })),
        field('Tags, with spaces between them', h('input', { name: 'tags', value: letter.tags.join(' ') }))],
      act: (form) => ctx.api.post(`${path}/marks`, markOf(form, letter), query),
    })
    if (changed) done()
  }
  const add = async (event) => {
    event.preventDefault()
    try {
      await ctx.api.post(`${path}/notes`, { note: note.value.trim() }, query)
      note.value = ''
      done()
    } catch (error) {
      note.setCustomValidity(error.message)
      note.reportValidity()
    }
  }
  note.addEventListener('input', () => note.setCustomValidity(''))
  return panel('Notes',
    h('p', { class: 'row' }, marks(letter) ?? h('span', { class: 'dim' }, 'Nobody looks after it.'), may && h('button', { type: 'button', class: 'small', on: { click: change } }, 'Change…')),
    marks(letter.group_mark) && h('p', { class: 'row' }, h('span', { class: 'dim' }, 'Its group:'), marks(letter.group_mark)),
    letter.notes.length > 0 && h('ul', { class: 'notes' }, letter.notes.map((one) => h('li', null, h('p', { class: 'dim' }, value(one.actor), ', ', moment(one.at)), h('p', { class: 'said' }, visible(one.note))))),
    may && h('form', { class: 'send-form', on: { submit: add } }, field('A note for whoever comes next', note), h('div', null, h('button', null, 'Add'))))
}

/** What the form changes. What somebody else looks after is taken over knowingly: the form showed them. */
function markOf({ elements }, letter) {
  const tags = elements.tags.value.split(/\s+/).filter(Boolean)
  const assignee = elements.assignee.value.trim()
  return {
    add_tags: tags.filter((name) => !letter.tags.includes(name)), remove_tags: letter.tags.filter((name) => !tags.includes(name)),
    ...(assignee === letter.assignee ? {} : { assignee, from: letter.assignee }),
  }
}
