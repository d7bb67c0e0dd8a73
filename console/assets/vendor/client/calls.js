/** @import {OutcomeFrame} from './schema.js' */

/**
 * A command whose outcome is waited for.
 * @typedef {object} Call
 * @property {string | number} id the client's own
 * @property {string} device
 * @property {string} method
 * @property {string | undefined} commandId unknown until accepted
 * @property {OutcomeFrame | undefined} outcome
 * @property {(outcome: OutcomeFrame) => void} answer
 * @property {(error: Error) => void} fail
 */

/** The calls that wait, by the client's id. `1` and `"1"` are different ids. */
export class Calls {
  /** @type {Map<string | number, Call[]>} */
  #waiting = new Map()
  #size = 0

  get size() {
    return this.#size
  }

  /** @param {Call} call */
  add(call) {
    const same = this.#waiting.get(call.id)
    if (same) same.push(call)
    else this.#waiting.set(call.id, [call])
    this.#size++
  }

  /** May be called twice. @param {Call} call */
  remove(call) {
    const same = this.#waiting.get(call.id)
    const at = same ? same.indexOf(call) : -1
    if (!same || at < 0) return
    same.splice(at, 1)
    if (same.length === 0) this.#waiting.delete(call.id)
    this.#size--
  }

  /**
   * Gives the outcome to every call that it answers; false when there is none.
   * @param {OutcomeFrame} outcome
   */
  claim(outcome) {
    const same = outcome.id === null ? undefined : this.#waiting.get(outcome.id)
    if (!same) return false
    let claimed = false
    for (const call of [...same]) {
      if (!answers(outcome, call)) continue
      claimed = true
      if (call.outcome) continue // this is a copy
      call.outcome = outcome
      call.answer(outcome)
    }
    return claimed
  }

  /** Ends every call. @param {(call: Call) => Error} why */
  fail(why) {
    for (const same of [...this.#waiting.values()]) for (const call of [...same]) call.fail(why(call))
  }
}

/**
 * By command id, else by the client's id on the same device and method, which is how a repeated post is answered
 * while the first is open. A duplicate_id speaks of the one post that it names.
 * @param {OutcomeFrame} outcome
 * @param {Call} call
 */
function answers(outcome, call) {
  if (call.commandId !== undefined && call.commandId === outcome.command_id) return true
  if (call.device !== outcome.device || call.method !== outcome.method || outcome.redrive !== 0) return false
  return call.commandId === undefined || !isDuplicateID(outcome)
}

/** @param {OutcomeFrame} outcome */
function isDuplicateID(outcome) {
  const data = outcome.origin === 'platform' ? outcome.response.error?.data : undefined
  return typeof data === 'object' && data !== null && 'reason' in data && data.reason === 'duplicate_id'
}
