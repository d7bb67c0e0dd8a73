import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { api, kill, launch, login, makeTenant, start, tab } from './site.js'

let browser, tenant
before(async () => {
  browser = await launch()
  tenant = await makeTenant()
})
after(async () => {
  await browser?.close()
  await tenant?.stop()
})

test('database, broker and api go away and come back: the page says so and heals', async (t) => {
  const page = await tab(t, browser)
  await login(page, tenant.token, 'audit')
  await page.waitForSelector('.fresh:not([hidden])')
  for (const [service, words, view] of [['database', 'The database is away', 'audit'], ['broker', 'The broker is away', 'now'], ['api', 'The API does not answer', 'dead-letters']]) {
    await page.goto(`${api}/console/${view}`)
    await page.waitForSelector('.fresh:not([hidden])')
    await kill(service)
    await page.locator('.banner').getByText(words).waitFor({ timeout: 90_000 })
    assert.ok(await page.locator('main h1').isVisible(), `${service}: the page is still there`)
    assert.equal(await page.getByText('Nothing is wrong').count(), 0, `${service} is away`)
    await start(service)
    await page.waitForFunction(() => !document.querySelector('.banner'), undefined, { timeout: 90_000 })
    await page.waitForSelector('.fresh:not(.stale):not([hidden])')
  }
})

test('on a slow link it is slow, and works', async (t) => {
  const page = await tab(t, browser)
  const session = await page.context().newCDPSession(page)
  await session.send('Network.emulateNetworkConditions', { offline: false, latency: 300, downloadThroughput: 60 << 10, uploadThroughput: 30 << 10 })
  const began = Date.now()
  await login(page, tenant.token, 'dead-letters/list?state=any')
  await page.getByText('letters on this page').waitFor({ timeout: 60_000 })
  t.diagnostic(`with 300 ms and 60 KB/s the list of letters was there ${Date.now() - began} ms after its address was asked for, log-in included`)
  await page.getByRole('link', { name: 'Audit' }).click()
  await page.getByText('entries on this page').waitFor({ timeout: 60_000 })
})
