// What is known of the queues over time, and what it means in words.
import { ago, count, many, rate, span } from './format.js'
import { href } from './route.js'

/** How many samples are kept: a quarter of an hour, at one every three seconds. */
const KEPT = 300

/** The broker's queues, sample by sample. It outlives the page, so that coming back does not begin anew. */
export class QueueHistory {
  /** When each sample was taken, in seconds since 1970. */
  times = []
  /** By queue: its figures in step with times; null before it was there. @type {Map<string, object[]>} */
  #samples = new Map()
  picture = undefined

  add(picture, now = Date.now()) {
    this.picture = picture
    this.times.push(now / 1000)
    const seen = new Set()
    for (const queue of picture.queues) {
      seen.add(queue.queue)
      const samples = this.#samples.get(queue.queue) ?? Array(this.times.length - 1).fill(null)
      this.#samples.set(queue.queue, samples)
      samples.push(queue)
      samples[samples.length - 1] = { ...queue, oldest: this.oldest(queue, now).ms / 1000 }
    }
    for (const [name, samples] of this.#samples) if (!seen.has(name)) samples.push(null)
    if (this.times.length > KEPT) {
      this.times.shift()
      for (const samples of this.#samples.values()) samples.shift()
    }
  }

  of(name) {
    return this.#samples.get(name) ?? []
  }

  /** Series for a plot. */
  series(name, ...fields) {
    return [this.times, ...fields.map((field) => this.of(name).map((sample) => sample?.[field] ?? null))]
  }

  /**
   * How long the oldest message has waited, in ms: as the broker tells it, else reckoned from what was seen. A queue is first in,
   * first out: if nothing was taken since it was empty, or since so many were in it, what is in it is as old as that.
   */
  oldest(queue, now = Date.now()) {
    if (queue.ready === 0) return { ms: 0, exact: true }
    if (queue.oldest_at) return { ms: now - new Date(queue.oldest_at).getTime(), exact: true }
    const samples = this.of(queue.queue)
    if (queue.ack_rate > 0) return { ms: queue.ready / queue.ack_rate * 1000, exact: false }
    for (let i = samples.length - 1; i >= 0; i--) {
      if (!samples[i] || samples[i].ready === 0) return { ms: now - this.times[Math.min(i + 1, samples.length - 1)] * 1000, exact: false }
    }
    return { ms: now - this.times[0] * 1000, exact: false, more: true }
  }

  /** By how much a queue grew over that time, in messages; 0 where it is not known. */
  growth(name, ms) {
    const samples = this.of(name)
    const from = this.times.findIndex((at) => at >= (this.times.at(-1) - ms / 1000))
    const [first, last] = [samples[from], samples.at(-1)]
    return first && last && from < samples.length - 1 ? last.ready - first.ready : 0
  }
}

/** How long the oldest waits, as people read it. */
export function age({ ms, exact, more }) {
  if (ms === 0) return '–'
  return `${more ? 'over ' : exact ? '' : '≈ '}${span(ms)}`
}

/** What is wrong, the worst first: {kind, what, why, link}. */
export function troubles({ history, groups = [], counts }) {
  const found = []
  const say = (kind, what, why, link, word) => found.push({ kind, what, why, link, word })
  const { picture } = history
  for (const queue of picture?.queues ?? []) queueTroubles(queue, history, say)
  if (picture?.source === 'declare') {
    say('warn', 'The broker\'s management API does not answer', 'Depth and consumers are all that is known; rates are not.')
  }
  for (const group of groups) {
    if (group.per_minute === 0) continue
    say('bad', `${group.reason}: ${many(Math.round(group.per_minute * 5), 'command')} in the last 5 minutes`,
      [[group.device_type, group.method].filter(Boolean).join(' · '), `last ${ago(group.last_at)}`, group.cause].filter(Boolean).join(' — '),
      href('dead-letters/list', { group: group.group, window: '24h' }), 'Show')
  }
  const failed = Object.values(counts?.failed ?? {}).reduce((sum, n) => sum + n, 0)
  if (failed > 10 && failed > counts.answered) {
    say('bad', `More commands fail than are answered: ${count(failed)} of ${count(failed + counts.answered)}`, 'In the last 15 minutes.')
  }
  return found.sort((a, b) => (a.kind === 'bad' ? 0 : 1) - (b.kind === 'bad' ? 0 : 1))
}

function queueTroubles(queue, history, say) {
  const { queue: name, kind, ready, consumers, dead_lettering: stuck } = queue
  if (consumers === 0 && !queue.paused && !queue.draining && kind !== 'parked') withoutConsumers(queue, say)
  else if (kind === 'lane' && ready > 50 && history.growth(name, 60_000) > ready * 0.2) {
    say('warn', `Lane ${laneOf(name)} is backing up: ${many(ready, 'command')} wait`,
      `In ${rate(queue.publish_rate)}, out ${rate(queue.ack_rate)}. Its devices have become slower, or it has too few dispatchers.`)
  }
  const waiting = history.of(name).slice(-5)
  if (stuck > 0 && waiting.length === 5 && waiting.every((sample) => sample?.dead_lettering >= stuck)) {
    say('bad', `${many(stuck, 'message')} cannot leave ${name}`, 'The dead-letter exchange leads nowhere, or into a queue that is full.')
  }
  if (queue.state && !['running', 'idle', 'flow'].includes(queue.state)) say('bad', `Queue ${name} is ${queue.state}`, 'The broker says so.')
  if (queue.draining) say('warn', `Lane ${laneOf(name)} is being drained`, 'What was accepted before ends as discarded, each command told to its client. Dispatchers wait meanwhile.')
  if (queue.paused) say('warn', `Lane ${laneOf(name)} is paused`, `By ${queue.paused.by}: ${queue.paused.why}. Its commands wait, and expire as ever, until somebody resumes it.`)
}

function withoutConsumers({ queue: name, kind, ready }, say) {
  const [level, waiting] = [ready > 0 ? 'bad' : 'warn', ready > 0 ? `; ${many(ready, 'message')} wait` : '']
  switch (kind) {
    case 'lane': say(level, `No dispatcher takes from lane ${laneOf(name)}${waiting}`, 'Commands are accepted and wait until they expire. Start a dispatcher for this lane.'); break
    case 'dead': say('bad', `Nobody records dead letters${waiting}`, 'No dispatcher has the role record. Clients are not told of what failed until one has.'); break
    case 'mailbox': say(level, `Nobody stores outcomes of clients that are away${waiting}`, 'No pusher is connected.'); break
    default: say(level, `The pusher of ${name.replace('cupline.push.', '')} is away${waiting}`, 'What waits goes to the mailbox after 10 seconds. The slot is pruned when its pusher does not come back.')
  }
}

export function laneOf(name) {
  return name.replace('cupline.work.', '')
}
