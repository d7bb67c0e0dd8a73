// Questions that come before letters are redriven, discarded or opened again.
import { actionFields, actionOf, ask } from './dialogs.js'
import { fill, h, value, visible } from './dom.js'
import { count, many } from './format.js'
import { apiFilter } from './letters.js'
import { failed, field, reasonTag, skeleton } from './parts.js'

const TITLES = { redrive: 'Send this command again?', discard: 'Let this letter go?', undo: 'Open this letter again?' }
const CONFIRM = { redrive: 'Redrive', discard: 'Discard', undo: 'Open it again' }
const WORDS = {
  redrive: 'It goes to the same device, as a new command. Its outcome reaches the client, marked as a redrive.',
  discard: 'The command is not sent again. Its client was told of the failure already. This can be undone for 24 hours.',
  undo: 'It was discarded by mistake, and can be redriven after that.',
}

/** Asks why and acts on one letter; resolves with what the API said, or undefined. */
export function actOnOne(ctx, kind, letter) {
  const { tenant } = ctx.route.query
  const path = `/v1/dead-letters/${letter.letter_id}/${kind}`
  const maybe = kind === 'redrive' && letter.executed !== 'no'
  const held = kind === 'redrive' && letter.held
  const allow = { ...(maybe ? { include_maybe: true } : {}), ...(held ? { include_held: true } : {}) }
  const edit = kind === 'redrive' && letter.payload_encoding === 'json' ? paramsEditor((params) => ctx.api.post(path, { dry_run: true, params, ...allow }, { tenant }), letter.payload?.params) : undefined
  return ask({
    title: TITLES[kind], confirm: CONFIRM[kind], danger: kind === 'discard',
    body: [
      h('p', null, WORDS[kind]),
      h('p', null, value(letter.method), ' on ', value(letter.device), ' for ', value(letter.client), ' ', reasonTag(letter.reason)),
      maybe && sure('maybe', 'The device may have executed it already. I have made sure that doing it again does no harm.'),
      held && sure('held', 'It has died again and again, and is held for that. I know what is different now.'),
      edit?.element, actionFields(),
    ],
    act: (form) => ctx.api.post(path, { ...actionOf(form), ...allow, ...edit?.changed() }, { tenant }),
  })
}

function sure(name, words) {
  return h('label', { class: 'check bad' }, h('input', { type: 'checkbox', name, required: true }), h('span', null, words))
}

/** A place to change a request's params, and to see first what that changes. */
function paramsEditor(preview, params) {
  const before = params === undefined ? '' : JSON.stringify(params, null, 2)
  const text = h('textarea', { spellcheck: 'false', 'aria-label': 'params', value: before, on: { input: () => text.setCustomValidity('') } })
  const found = h('div', { role: 'status' })
  const changed = () => {
    if (text.value.trim() === before.trim()) return {}
    try {
      return { params: JSON.parse(text.value) }
    } catch (error) {
      text.setCustomValidity(`This is no JSON: ${error.message}`)
      text.reportValidity()
      throw error
    }
  }
  const show = async () => {
    try {
      fill(found, difference((await preview(changed().params ?? params)).changes))
    } catch (error) {
      fill(found, failed(error))
    }
  }
  const element = h('details', null, h('summary', null, 'Send it with other params'), text,
    h('button', { type: 'button', class: 'small', on: { click: show } }, 'What would change?'), found)
  return { element, changed }
}

/** Where edited params differ from the old ones. */
export function difference(changes) {
  if (!changes || changes.length === 0) return h('p', { class: 'dim' }, 'Nothing changes.')
  const side = (name, of) => of === undefined ? '' : h(name, null, visible(JSON.stringify(of)))
  return h('ul', { class: 'diff' }, changes.map(({ at, old, new: now }) => h('li', null, h('code', null, visible(at || 'params')), ' ', side('del', old), ' ', side('ins', now))))
}

/** Asks for a job over every open letter that a filter chooses, after showing what it would meet. Resolves with the job. */
export async function actOnAll(ctx, kind, query) {
  const { tenant, ...filter } = apiFilter({ ...query, state: 'any' })
  if (filter.held) filter.held = true
  const found = h('div', null, skeleton(3))
  const number = (name, usual, low, high) => h('input', { name, type: 'number', min: String(low), max: String(high), value: String(usual), required: true })
  const dialog = ask({
    title: kind === 'redrive' ? 'Redrive every open letter of this filter?' : 'Discard every open letter of this filter?',
    confirm: kind === 'redrive' ? 'Redrive them' : 'Discard them', danger: kind !== 'redrive',
    body: [found, h('div', { class: 'filters' }, field('At most so many a second', number('rate', 10, 1, 500)),
      kind === 'redrive' && [field('Send first, and wait for', number('canary', 0, 0, 1000)), field('Stop above % of failures', number('stop', 50, 0, 100))]), actionFields()],
    act(form) {
      const { rate, canary, stop, maybe, held } = form.elements
      return ctx.api.post('/v1/dead-letter-jobs', {
        kind, filter, rate: Number(rate.value), ...actionOf(form),
        ...(kind === 'redrive' ? { canary: Number(canary.value), stop_above: Number(stop.value), include_maybe: maybe?.checked ?? false, include_held: held?.checked ?? false } : {}),
      }, { tenant })
    },
  })
  ctx.api.post('/v1/dead-letter-jobs', { kind, filter, dry_run: true }, { tenant }).then(
    (dry) => fill(found, dryRun(kind, dry)), (error) => fill(found, failed(error)))
  return dialog
}

/** What a job would meet. */
function dryRun(kind, { letters, maybe, held, older_than_a_day: old, groups }) {
  const also = (name, words) => h('label', { class: 'check' }, h('input', { type: 'checkbox', name }), h('span', null, words))
  return h('div', { class: 'dry', role: 'status' },
    h('p', null, h('strong', null, many(letters, 'letter')), ' would be ', kind === 'redrive' ? 'redriven' : 'discarded', '; ',
      h('strong', { class: maybe > 0 ? 'bad' : '' }, count(maybe)), ' may have been executed, ', h('strong', null, count(old)), ' died more than a day ago.'),
    groups.length > 0 && h('ul', null, groups.slice(0, 5).map((group) => h('li', { class: 'row' }, h('strong', null, `${count(group.count)} ×`),
      reasonTag(group.reason), value(group.method), h('span', { class: 'dim' }, visible(group.cause))))),
    kind === 'redrive' && maybe > 0 && also('maybe', 'Send those again, too, that may have been executed. Else they are left as they are.'),
    kind === 'redrive' && held > 0 && also('held', `Also the ${count(held)} that have died again and again, and are held.`))
}
