// How soon each page is painted, and has its data: `make bench-console` makes the letters and runs this.
import { launch } from './browser.js'

const { CUPLINE_API_URL: api, CUPLINE_KEY: key, LETTER: letter, LOADS: loads, LIMIT_MS: limit } = process.env
const pages = {
  Now: 'now', 'Dead letters, groups of a day': 'dead-letters', 'Dead letters, groups of all': 'dead-letters?window=all', 'Dead letters, open ones of a day': 'dead-letters/list',
  'Dead letters, all': 'dead-letters/list?window=all&state=any', 'One dead letter': `dead-letters/${letter}`, Jobs: 'jobs', Commands: 'commands', Devices: 'devices', Audit: 'audit',
}
const middle = (all) => all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)]
const ms = (n) => Math.round(n).toString().padStart(6)

const browser = await launch()
const page = await browser.newPage({ viewport: { width: 1280, height: 800 } })
await page.goto(`${api}/console/`)
await page.fill('[name=key]', key)
await page.keyboard.press('Enter')
await page.waitForSelector('#app.shell')
console.log(`${'page'.padEnd(34)} first paint, ms: median, longest; with its data: median, longest (${loads} loads each)`)
let slow = 0
for (const [name, path] of Object.entries(pages)) {
  const [paints, done] = [[], []]
  for (let i = 0; i < Number(loads); i++) {
    await page.goto(`${api}/console/${path}`)
    // Counted by the page's own clock, from the moment at which the address was asked for.
    done.push(await page.evaluate(() => new Promise((resolve) => {
      const look = () => document.querySelector('.fresh:not([hidden]):not(.stale)') && !document.querySelector('.skeleton') ? resolve(performance.now()) : requestAnimationFrame(look)
      look()
    })))
    // The browser may tell of it a little later than it was.
    paints.push(await page.evaluate(() => new Promise((resolve) => {
      new PerformanceObserver((list) => {
        for (const { name, startTime } of list.getEntries()) if (name === 'first-contentful-paint') resolve(startTime)
      }).observe({ type: 'paint', buffered: true })
    })))
  }
  const first = middle(paints)
  if (first > Number(limit)) slow++
  console.log(`${name.padEnd(34)} ${ms(first)} ${ms(Math.max(...paints))}   ${ms(middle(done))} ${ms(Math.max(...done))}`)
}
await browser.close()
if (slow > 0) {
  console.error(`${slow} pages are painted later than ${limit} ms`)
  process.exit(1)
}
