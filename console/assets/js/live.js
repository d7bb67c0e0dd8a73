// Asks again and again while a page is looked at, and heals by itself after an outage.

/** The longest wait after failures, in ms. */
const MAX_WAIT = 10_000

/**
 * Loads and shows, every so many ms, until the signal ends it. An error goes to fail; one that will not mend by itself ends the
 * asking, until refresh is called.
 * @returns {{refresh: () => void}}
 */
export function live(signal, every, load, show, fail) {
  let hurry = () => {}
  let hurried = false
  const refresh = () => {
    hurried = true
    hurry()
  }
  const wake = () => {
    if (document.visibilityState === 'visible') refresh()
  }
  document.addEventListener('visibilitychange', wake)
  window.addEventListener('online', refresh)
  signal.addEventListener('abort', () => {
    document.removeEventListener('visibilitychange', wake)
    window.removeEventListener('online', refresh)
    hurry()
  })
  const pause = (ms) => new Promise((resolve) => {
    if (hurried || signal.aborted) {
      resolve()
      return
    }
    const timer = ms === Infinity ? undefined : setTimeout(resolve, ms)
    hurry = () => {
      clearTimeout(timer)
      resolve()
    }
  })
  const run = async () => {
    for (let failures = 0; !signal.aborted;) {
      hurried = false
      try {
        const found = await load(signal)
        if (signal.aborted) return
        failures = 0
        show(found)
        await pause(document.visibilityState === 'hidden' ? Infinity : every)
      } catch (error) {
        if (signal.aborted) return
        fail(error)
        await pause(error.temporary ? Math.min(1000 * 2 ** failures++, MAX_WAIT) : Infinity)
      }
    }
  }
  run()
  return { refresh }
}
