// Takes the pictures that README and docs show, of real services with something to see: `make screenshots`. With
// CUPLINE_SCREENSHOTS=FOLDER every page is taken, light and dark, wide and narrow, into that folder.
import { mkdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { EVERYTHING, api, launch, login, makeKey, makeTenant, openTab, until } from './site.js'

const { CUPLINE_SCREENSHOTS: every, CUPLINE_PUSH_URL: push, CUPLINE_TEST_PAGE: pageHost } = process.env
const folder = every ? new URL(`file://${every}/`) : new URL('../../docs/screenshots/', import.meta.url)
const wide = { width: 1280, height: 800 }, narrow = { width: 360, height: 740 }

const tenant = await makeTenant('acme')
const operator = await makeKey({ tenant: 'acme', client: 'desk', scope: EVERYTHING })
const browser = await launch()
await mkdir(folder, { recursive: true })

// The dashboard is the client's example, served from elsewhere. One is open all the time: a client that acks what it gets.
const root = new URL('../../clients/js/', import.meta.url)
const site = createServer(async (request, response) => {
  const path = new URL(request.url, 'http://page').pathname.slice(1)
  const content = await readFile(new URL(path, root)).catch(() => undefined)
  response.writeHead(content ? 200 : 404, { 'Content-Type': path.endsWith('.html') ? 'text/html' : 'text/javascript' }).end(content)
})
const [host, port] = pageHost.split(':')
site.listen(Number(port), host)
await once(site, 'listening')
async function dashboard(options) {
  const page = await browser.newPage(options)
  await page.goto(`http://${pageHost}/example/dashboard.html`)
  for (const [name, value] of [['url', api], ['pushUrl', push], ['token', tenant.token]]) await page.fill(`[name=${name}]`, value)
  await page.click('#login button')
  await page.waitForSelector('#state[data-state=online]')
  return page
}
await dashboard({ viewport: wide })

// Something to look at: commands that are answered, some that fail for several reasons, one that a person redrives.
await tenant.bury(12)
for (const device of ['fan-3', 'door-1', 'heater-2']) await tenant.call('PUT', `devices/${device}`, { type: 'lamp', address: { url: tenant.lamps.url }, labels: { room: 'hall' } })
await tenant.call('PUT', 'device-types/pump', { lane: 'default', driver: 'http', methods: { 'pump.start': { timeout: '500ms', idempotent: false } } })
const hung = createServer(() => {}) // takes requests, and never answers
hung.listen(0, '127.0.0.1')
await once(hung, 'listening')
await tenant.call('PUT', 'devices/pump-1', { type: 'pump', address: { url: `http://127.0.0.1:${hung.address().port}/` } })
for (let i = 0; i < 3; i++) await tenant.send('pump-1', 'pump.start', { litres: 10 * i }, `fill-${i}`)
const { letters: [first] } = await until('all have died', async () => {
  const found = await tenant.call('GET', 'dead-letters?state=open&limit=100')
  return found.letters.length >= 15 && found
})
const offline = (await tenant.call('GET', 'dead-letters?reason=device_offline&limit=1')).letters[0]
await tenant.off.start()
const redriven = await tenant.call('POST', `dead-letters/${offline.letter_id}/redrive`, { reason: 'the cellar has power again', actor: 'ann' })
await tenant.call('POST', `dead-letters/${first.letter_id}/discard`, { reason: 'nobody waits for it any more', actor: 'ben' })
const { job_id: job } = await tenant.call('POST', 'dead-letter-jobs', { kind: 'redrive', filter: { device: 'lamp-off', text: 'order-1', state: 'open' }, canary: 1, reason: 'the cellar has power again', actor: 'ann' })
await until('the job is done', async () => {
  const found = await tenant.call('GET', `dead-letter-jobs/${job}`)
  return found.state === 'done' && found.awaited === 0
})
await tenant.call('POST', 'devices/heater-2/pause', { reason: 'its thermostat is being replaced', actor: 'ben' })
let sending = true
const traffic = (async () => {
  for (let i = 0; sending; i++) {
    const busy = 2 + Math.round(2 * Math.sin(i / 6))
    await Promise.all(Array.from({ length: busy }, (_, n) => tenant.send(['lamp-1', 'lamp-2', 'fan-3', 'door-1'][(i + n) % 4], 'relay.set', { on: i % 2 === 0 })))
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
})()

async function settled(page) {
  await page.waitForFunction(() => !document.querySelector('.skeleton') && document.querySelector('main h1, main .state'))
  await page.evaluate(() => document.fonts.ready)
}

async function shoot(page, name, options = {}) {
  await page.screenshot({ path: new URL(`${name}.png`, folder).pathname, ...options })
  console.log(name)
}

const command = await until('the redrive is decided', () => tenant.call('GET', `commands/${redriven.redriven_as}/history`).catch(() => undefined))
const views = {
  'dead-letters': 'dead-letters', letters: 'dead-letters/list?state=any', letter: `dead-letters/${offline.letter_id}`,
  commands: 'commands', command: `commands/${command.command_id}`, devices: 'devices', device: 'devices/lamp-1', paused: 'devices/heater-2', jobs: 'jobs', job: `jobs/${job}`, audit: 'audit',
}

async function take(suffix, options, names) {
  const { page, context, problems } = await openTab(browser, options)
  await page.goto(`${api}/console/`)
  await page.waitForSelector('[name=key]')
  if (every) await shoot(page, `login${suffix}`)
  await login(page, operator.token)
  if (names.includes('now')) {
    await page.waitForTimeout(every ? 20_000 : 90_000) // the plots are of what was seen
    await settled(page)
    await shoot(page, `now${suffix}`, { fullPage: Boolean(every) })
  }
  for (const name of names.filter((one) => views[one])) {
    await page.goto(`${api}/console/${views[name]}`)
    await settled(page)
    if (name === 'device') {
      await page.selectOption('.send-form select[name=method]', 'relay.set')
      await page.locator('.send-form select').nth(1).selectOption('0')
      await page.getByRole('button', { name: 'Send', exact: true }).click()
      await page.locator('.outcome[data-outcome=answered]').first().waitFor()
    }
    if (name === 'letters') for (const key of ['j', 'j', 'x', 'j']) await page.keyboard.press(key)
    await shoot(page, `${name}${suffix}`, { fullPage: Boolean(every) })
  }
  if (every) {
    await page.goto(`${api}/console/dead-letters/list`)
    await settled(page)
    await page.getByRole('button', { name: 'Redrive all…' }).click()
    await page.getByText('would be redriven', { exact: false }).waitFor()
    await shoot(page, `dialog${suffix}`)
    await page.goto(`${api}/console/devices/lamp-1`)
    await page.getByRole('button', { name: 'pause device lamp-1' }).click()
    await shoot(page, `dialog-pause${suffix}`)
  }
  await context.close()
  if (problems.length > 0) throw new Error(problems.join('\n'))
}

async function shootDashboard(suffix, options) {
  const page = await dashboard(options)
  await page.locator('[data-device=lamp-1]').getByText('On', { exact: true }).click()
  await page.locator('[data-device=pump-1]').getByText('Off', { exact: true }).click()
  await page.locator('[data-device=pump-1] output.failed').waitFor()
  await shoot(page, `dashboard${suffix}`, { fullPage: true })
  await page.close()
}

const all = ['now', ...Object.keys(views)]
if (every) {
  for (const colorScheme of ['light', 'dark']) {
    await take(`-${colorScheme}`, { viewport: wide, colorScheme }, all)
    await take(`-${colorScheme}-narrow`, { viewport: narrow, colorScheme }, all)
    await shootDashboard(`-${colorScheme}`, { viewport: wide, colorScheme })
    await shootDashboard(`-${colorScheme}-narrow`, { viewport: narrow, colorScheme })
  }
} else {
  await take('', { viewport: wide, colorScheme: 'light' }, all.filter((name) => name !== 'paused' && name !== 'jobs'))
  await take('-dark', { viewport: wide, colorScheme: 'dark' }, ['now'])
  await take('-narrow', { viewport: narrow, colorScheme: 'light' }, ['dead-letters', 'letter'])
  await shootDashboard('', { viewport: { width: 1000, height: 500 }, colorScheme: 'light' })
}
sending = false
await traffic
await browser.close()
site.closeAllConnections()
site.close()
hung.closeAllConnections()
hung.close()
await tenant.stop()
