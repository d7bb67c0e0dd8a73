// One command's life, step by step, with the time between them.
import { h, value, visible } from './dom.js'
import { clock, span, subject } from './format.js'

const WORDS = {
  accepted: ['Accepted', 'the broker confirmed it, and the POST was answered 202'],
  started: ['Started', 'a dispatcher claimed it and went to the device'],
  decided: ['Outcome decided', ''],
  delivered: ['Acked by the client', 'the client has its outcome'],
  stored_in_mailbox: ['Stored in the mailbox', 'its client was not connected, or too slow'],
  acked_from_mailbox: ['Acked from the mailbox', 'the client has its outcome'],
  refused_by_full_mailbox: ['Refused by the full mailbox', 'its client has not acked for too long'],
  dead_letter: ['Became a dead letter', ''],
  redrive: ['Redrive begun', 'the letter is committed to a new command'],
  redriven: ['Redriven', 'the broker has the new command'],
  undo: ['Discard undone', ''],
  discard: ['Discarded', ''],
}

/** Events whose reason is a failure's; that of others names the failure that they are about. */
const FAILURES = new Set(['decided', 'dead_letter', 'dropped'])

function kindOf({ event, reason }) {
  if (event === 'delivered' || event === 'acked_from_mailbox') return 'ok'
  return reason && FAILURES.has(event) || event.startsWith('refused') ? 'bad' : ''
}

/** The list of steps; where none is known, nothing. */
export function timeline(events) {
  const times = events.map(({ at }) => new Date(at).getTime())
  return h('ol', { class: 'timeline' }, events.map((event, i) => {
    const [title, words] = WORDS[event.event] ?? [event.event.replaceAll('_', ' '), '']
    return h('li', { class: kindOf(event) },
      h('div', { class: 'when' }, i > 0 && h('b', null, `+${span(times[i] - times[i - 1])}`), h('time', { datetime: event.at, title: event.at }, clock(event.at))),
      h('div', { class: 'what' },
        h('h3', null, visible(title), event.reason && FAILURES.has(event.event) && [': ', value(event.reason)]),
        words && h('p', null, words),
        event.actor && h('p', null, 'by ', value(event.actor)),
        event.detail && h('p', null, value(subject(event.detail).rest))))
  }))
}

/** How the whole time is shared out between the steps, as one strip. */
export function strip(events) {
  const times = events.map(({ at }) => new Date(at).getTime())
  const total = times.at(-1) - times[0]
  if (!(total > 0)) return null
  const parts = events.slice(1).map((event, i) => ({ name: (WORDS[event.event]?.[0] ?? event.event).toLowerCase(), took: times[i + 1] - times[i] }))
    .filter(({ took }) => took > 0)
  return h('div', { class: 'strip', role: 'img', 'aria-label': `in all ${span(total)}: ${parts.map(({ name, took }) => `${span(took)} until ${name}`).join(', ')}` },
    parts.map(({ name, took }) => h('span', { vars: { share: String(Math.max(took / total, 0.02)) }, title: `${span(took)} until ${name}` }, took / total > 0.15 ? `${span(took)} ${name}` : '')))
}
