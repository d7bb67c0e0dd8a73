import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { chromium } from 'playwright-core'
import { api, kill, push, start, tenant } from '../platform/site.js'

const root = new URL('../../', import.meta.url)
const kinds = { html: 'text/html', js: 'text/javascript' }

/** Serves the package at the address whose pages the platform allows. */
async function serve(t) {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url, 'http://page').pathname.slice(1)
    const kind = kinds[path.split('.').pop()]
    const content = kind && await readFile(new URL(path, root)).catch(() => undefined)
    response.writeHead(content ? 200 : 404, { 'Content-Type': kind ?? 'text/plain' }).end(content)
  })
  const [host, port] = process.env.CUPLINE_TEST_PAGE.split(':')
  server.listen(Number(port), host)
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://${process.env.CUPLINE_TEST_PAGE}`
}

async function browse(t) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  })
  t.after(() => browser.close())
  const page = await browser.newPage()
  page.setDefaultTimeout(90_000)
  const problems = []
  page.on('pageerror', (error) => problems.push(error))
  return { page, problems }
}

test('the dashboard: tiles, a command and its reply, a killed pusher, hostile words, a wrong key', async (t) => {
  const { token } = await tenant(t, 2)
  const address = await serve(t)
  const { page, problems } = await browse(t)
  await page.goto(`${address}/example/dashboard.html`)
  const login = async (key) => {
    await page.fill('[name=url]', api)
    await page.fill('[name=pushUrl]', push)
    await page.fill('[name=token]', key)
    await page.click('#login button')
  }
  await login(token)
  await page.waitForSelector('#state[data-state=online]')
  const tile = page.locator('[data-device=lamp-2]')
  await tile.getByText('On', { exact: true }).click()
  await tile.getByText('relay.set: {"on":true}').waitFor()
  assert.equal(await page.locator('article').count(), 2)

  await kill('pusher')
  await page.waitForSelector('#state[data-state=recovering]')
  await start('pusher')
  await page.waitForSelector('#state[data-state=online]', { timeout: 60_000 })
  await tile.getByText('Off').click()
  await tile.getByText('relay.set: {"on":false}').waitFor()

  // What a device says is shown, never run.
  const hostile = '<img src=x onerror="document.title=1"><script>document.title=1</script>\u202e' + 'x'.repeat(10_000)
  await page.$eval('[data-device=lamp-1] button', (button, said) => { button.dataset.params = JSON.stringify({ said }) }, hostile)
  await page.locator('[data-device=lamp-1] button').first().click()
  await page.locator('[data-device=lamp-1]').getByText('<script>').waitFor()
  assert.equal(await page.title(), 'Devices')
  assert.equal(await page.locator('output img').count(), 0)

  await login('cup_wrong')
  await page.waitForSelector('#state[data-state=closed]')
  assert.match(await page.textContent('#state'), /4001|401/)
  assert.deepEqual(problems, [])
})
