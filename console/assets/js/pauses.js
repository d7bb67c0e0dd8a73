// Devices and lanes are held and let go again; what is said about the commands that wait meanwhile.
import { actionFields, actionOf, ask } from './dialogs.js'
import { h, value } from './dom.js'
import { actorName, many, moment } from './format.js'
import { notify } from './parts.js'

/** What becomes of commands while their device or lane is paused. */
const MEANWHILE = 'What has begun is finished. New commands are accepted and wait; one that waits longer than its time to live ends as expired, not executed, and its client is told.'

/** Who holds it, since when, and why; nothing where nobody does. */
export function pauseNote(paused, words) {
  return paused && h('div', { class: 'trouble pause' }, h('span', { class: 'mark', 'aria-hidden': 'true' }, '❙❙'),
    h('p', { class: 'what' }, 'Paused since ', moment(paused.at), ' by ', value(actorName(paused.by), { title: paused.by })), h('p', null, value(paused.why)), words && h('p', { class: 'dim' }, words))
}

/** The button that asks, and then pauses or resumes a device; changed gets the device as it stands then. */
export function deviceButton(ctx, { device, paused }, changed) {
  return button(ctx, {
    path: `/v1/devices/${encodeURIComponent(device)}`, name: `device ${device}`, paused, changed,
    words: () => paused ? 'Commands that wait for it are taken within some seconds, but those that have expired meanwhile.'
      : `Dispatchers start none of its commands any more, within seconds; other devices go on. ${MEANWHILE}`,
  })
}

/** The same for a lane; ready tells how many commands wait in it at that moment. */
export function laneButton(ctx, lane, paused, ready, changed) {
  const waiting = () => ready() === 0 ? 'No command waits in it now.' : `${many(ready(), 'command')} ${ready() === 1 ? 'waits' : 'wait'} in it now.`
  return button(ctx, {
    path: `/v1/lanes/${encodeURIComponent(lane)}`, name: `lane ${lane}`, paused, changed,
    words: () => paused ? `${waiting()} Dispatchers take from it again within seconds. What has expired meanwhile is not executed.`
      : `${waiting()} Dispatchers take nothing from it any more, within seconds, whichever tenant's it is. ${MEANWHILE}`,
  })
}

function button(ctx, { path, name, paused, words, changed }) {
  const act = paused ? 'Resume' : 'Pause'
  const click = async () => {
    const said = await ask({
      title: `${act} ${name}?`, confirm: act, body: [pauseNote(paused), h('p', null, words()), actionFields()],
      act: (form) => ctx.api.post(`${path}/${act.toLowerCase()}`, actionOf(form)),
    })
    if (!said) return
    notify(`${act}d: ${name}.`)
    changed(said)
  }
  return h('button', { type: 'button', class: 'small', 'aria-label': `${act.toLowerCase()} ${name}`, on: { click } }, `${act}…`)
}
