// How soon each page is painted, and has its data: `make bench-console` makes the letters and runs this.
import { launch } from './browser.js'

const { CUPLINE_API_URL: api, CUPLINE_KEY: key, LETTER: letter, LOADS: loads, LIMIT_MS: limit } = process.env
const pages = {
  Now: 'now', 'Dead letters, groups of a day': 'dead-letters', 'Dead letters, groups of all': 'dead-letters?window=all', 'Dead letters, open ones of a day': 'dead-letters/list',
  'Dead letters, all': 'dead-letters/list?window=all&state=any', 'One dead letter': `dead-letters/${letter}`, Jobs: 'jobs', Commands: 'commands', Devices: 'devices',
  'One device': 'devices/device-1', Audit: 'audit',
}
const sorted = (all) => all.toSorted((a, b) => a - b)
const pair = (all) => `${Math.round(sorted(all)[Math.floor(all.length / 2)])} (${Math.round(Math.max(...all))})`.padStart(13)

const browser = await launch()
const page = await browser.newPage({ viewport: { width: 1280, height: 800 } })
const devtools = await page.context().newCDPSession(page)
/**
 * Between two loads: a view that asks the API for nothing of its own, so that nothing of the last page counts in the next, and of the
 * same origin, so that the browser's own time to start a process for another does not.
 */
const leave = async () => {
  await page.goto(`${api}/console/none`)
  await page.waitForSelector('main .state, [name=key]')
}

/** The moment of the first contentful paint, by the page's own clock: from when the address was asked for. */
const firstPaint = () => page.evaluate(() => new Promise((resolve) => {
  // The browser may tell of it a little later than it was.
  new PerformanceObserver((list) => {
    for (const { name, startTime } of list.getEntries()) if (name === 'first-contentful-paint') resolve(startTime)
  }).observe({ type: 'paint', buffered: true })
}))

/** The moment at which the page shows its data, and how long the slowest of its questions to the API took until then, in ms. */
const withData = () => page.evaluate(() => new Promise((resolve) => {
  const look = () => {
    if (!document.querySelector('.fresh:not([hidden]):not(.stale)') || document.querySelector('.skeleton')) return requestAnimationFrame(look)
    const asked = performance.getEntriesByType('resource').filter(({ name }) => name.includes('/v1/'))
    resolve({ data: performance.now(), api: Math.max(...asked.map(({ duration }) => duration)) })
  }
  look()
}))

/** Loads a page and returns its three figures. */
async function load(path) {
  await leave()
  await page.goto(`${api}/console/${path}`, { waitUntil: 'commit' })
  const { data, api: slowest } = await withData()
  return { paint: await firstPaint(), data, api: slowest }
}

await leave()
await page.goto(`${api}/console/`)
await page.waitForSelector('[name=key]')
// The least page that there is, of the same origin and kind: no figure below can be better than the machine's own.
await page.route('**/console/least', (route) => route.fulfill({ contentType: 'text/html', headers: { 'Cross-Origin-Opener-Policy': 'same-origin' }, body: '<!doctype html>two words' }))
console.log(`log-in, with nothing in the browser's cache: first paint after ${Math.round(await firstPaint())} ms`)
await page.fill('[name=key]', key)
await page.keyboard.press('Enter')
await page.waitForSelector('.account strong')
const least = []
for (let i = 0; i < Number(loads); i++) {
  await leave()
  await page.goto(`${api}/console/least`)
  least.push(await firstPaint())
}
console.log(`a page of two words, for comparison: first paint ${pair(least).trim()} ms`)
console.log(`ms: median (longest) of ${loads} loads each; the first two columns with nothing in the browser's cache
${'page'.padEnd(34)}  first paint    with data   first paint    with data   of that the API`)
let slow = 0
for (const [name, path] of Object.entries(pages)) {
  const [cold, warm] = [[], []]
  for (const [all, cacheDisabled] of [[cold, true], [warm, false]]) {
    await devtools.send('Network.setCacheDisabled', { cacheDisabled })
    for (let i = 0; i < Number(loads); i++) all.push(await load(path))
  }
  const paints = (all) => all.map(({ paint }) => paint)
  const shown = (all) => all.map(({ data }) => data)
  if ([cold, warm].some((all) => sorted(paints(all))[Math.floor(all.length / 2)] > Number(limit))) slow++
  console.log(`${name.padEnd(34)}${pair(paints(cold))}${pair(shown(cold))} ${pair(paints(warm))}${pair(shown(warm))} ${pair(warm.map((one) => one.api))}`)
}
await browser.close()
if (slow > 0) {
  console.error(`the first paint of ${slow} pages comes later than ${limit} ms`)
  process.exit(1)
}
