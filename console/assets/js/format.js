// Figures and times as people read them.
import { h } from './dom.js'

const whole = new Intl.NumberFormat('en')
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })

/** A count; a dash where it is not known. */
export function count(n) {
  if (n === null || n === undefined) return '–'
  return n >= 1_000_000 ? short.format(n) : whole.format(n)
}

/** Things a second. */
export function rate(n) {
  if (n === null || n === undefined) return '–'
  return `${n >= 100 ? whole.format(Math.round(n)) : n.toFixed(n >= 10 || n === 0 ? 0 : 1)}/s`
}

/** One word for one, another for all other counts. */
export function many(n, one, more = `${one}s`) {
  return `${count(n)} ${n === 1 ? one : more}`
}

/** A time span in ms, with as much of it as matters. */
export function span(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return '–'
  if (ms < 0) return `−${span(-ms)}`
  if (ms < 1000) return `${Math.round(ms)} ms`
  const seconds = ms / 1000
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  if (seconds < 120) return `${Math.round(seconds)} s`
  const minutes = seconds / 60
  if (minutes < 120) return `${Math.round(minutes)} min`
  const hours = minutes / 60
  return hours < 48 ? `${Math.round(hours)} h` : `${Math.round(hours / 24)} days`
}

/** One of Go's durations without the parts that are nothing: 1m0s is 1m. */
export function policy(duration) {
  return duration.replace(/(?<=[hm])0s$/, '').replace(/(?<=h)0m$/, '')
}

/** Who acted, as people read it: the name that was given, without the key that stands beside it. */
export function actorName(actor) {
  return actor.replace(/ \(key [^()]+\)$/, '')
}

/** What an entry of the audit trail says: which letter, job or group it is about, and the rest. */
export function subject(detail) {
  const [, kind, id, rest] = /^(letter|job|group) ([0-9a-f-]{36}): (.*)$/s.exec(detail) ?? []
  return kind ? { kind, id, rest } : { rest: detail }
}

const two = (n) => String(n).padStart(2, '0')

/** The time of day, with the day where it is another. */
export function clock(at, now = new Date()) {
  const date = new Date(at)
  if (Number.isNaN(date.getTime())) return '–'
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
  if (date.toDateString() === now.toDateString()) return time
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`
}

/** A moment as an element: the time of day, and on hover all of it. */
export function moment(at, text = clock(at)) {
  if (!at) return '–'
  return h('time', { datetime: at, title: at }, text)
}

/** How long ago. */
export function ago(at, now = Date.now()) {
  return `${span(Math.max(0, now - new Date(at).getTime()))} ago`
}

/** The client's own id, in the way the API's filters take it: a string that could be read as something else is quoted. */
export function idText(id) {
  if (id === null || id === undefined) return ''
  if (typeof id === 'number') return String(id)
  return /^-?\d+$/.test(id) || id.startsWith('"') ? JSON.stringify(id) : id
}

/** Which colour an outcome's reason has. */
export function reasonKind(reason) {
  return reason === 'expired' || reason === 'device_offline' || reason === 'device_busy' || reason === 'discarded' ? 'warn' : 'bad'
}
