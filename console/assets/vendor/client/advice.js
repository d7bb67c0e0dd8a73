/**
 * What a close code tells a client to do. `stop`: trying again as before leads to the same end. `back_off`: try again
 * after a growing, jittered wait. `resume`: connect anew and name the session.
 * @typedef {'stop' | 'back_off' | 'resume'} Advice
 */

/**
 * Reads the code's hundred; codes of other ranges, such as 1006, mean resume.
 * @param {number} code
 * @returns {Advice}
 */
export function adviceOf(code) {
  if (code >= 4000 && code < 4100) return 'stop'
  if (code >= 4100 && code < 4200) return 'back_off'
  return 'resume'
}

/**
 * A random wait up to a limit that doubles with each failure, so that clients that lost their pusher together do not
 * come back together.
 * @param {number} low the first limit, in ms
 * @param {number} high the last one, in ms
 * @param {number} failures that came before
 * @param {() => number} [random] in [0, 1)
 */
export function fullJitter(low, high, failures, random = Math.random) {
  // 2^30 ms are 12 days: past that the power would only overflow.
  return random() * Math.min(high, low * 2 ** Math.min(failures, 30))
}
