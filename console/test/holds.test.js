import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { api, EVERYTHING, fillReason, launch, login, makeKey, makeTenant, tab, until } from './site.js'

let browser, tenant
before(async () => {
  browser = await launch()
  tenant = await makeTenant()
})
after(async () => {
  await browser?.close()
  await tenant?.stop()
})

const queue = async (kind) => (await tenant.call('GET', 'queues')).queues.find((one) => one.kind === kind)

test('a device is paused, its commands wait, and it is resumed', async (t) => {
  const page = await tab(t, browser)
  const { token } = await makeKey({ tenant: tenant.name, client: 'console', scope: EVERYTHING })
  await login(page, token, 'devices/lamp-1')
  await page.getByRole('button', { name: 'pause device lamp-1' }).click()
  await page.getByText('New commands are accepted and wait').waitFor()
  await fillReason(page, 'its bulb is changed')
  await page.keyboard.press('Enter')
  await page.getByText('Paused since').waitFor()
  await page.getByText('its bulb is changed').waitFor()
  // Dispatchers hear of it within seconds; meanwhile its lane serves others.
  await page.selectOption('.send-form select[name=method]', 'lamp.say')
  await page.locator('.send-form textarea').fill('["hello"]')
  await page.getByRole('button', { name: 'Send', exact: true }).click()
  await page.locator('.outcome').getByText('its outcome is awaited').waitFor()
  await until('the command is put aside', async () => (await queue('parked')).ready > 0)
  await page.goto(`${api}/console/devices`)
  await page.getByRole('row', { name: /lamp-1/ }).getByText('paused').waitFor()
  await page.goto(`${api}/console/devices/lamp-1`)
  await page.getByRole('button', { name: 'resume device lamp-1' }).click()
  await page.locator('dialog').getByText('its bulb is changed').waitFor()
  await fillReason(page, 'it shines')
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: 'pause device lamp-1' }).waitFor()
  assert.equal(await page.getByText('Paused since').count(), 0)
  await page.getByText('Last outcome:').waitFor({ timeout: 60_000 })
  await page.goto(`${api}/console/audit?stage=operator`)
  for (const why of ['its bulb is changed', 'it shines']) await page.getByText(why).first().waitFor()
})

test('a lane is paused and resumed, and the page says what waits', async (t) => {
  t.after(() => tenant.call('POST', 'lanes/default/resume', { reason: 'the test is over', actor: 'ann' }).catch(() => {})) // it is, unless the test failed
  const page = await tab(t, browser)
  await login(page, tenant.token)
  const lane = page.locator('.lane', { hasText: 'Lane default' })
  await lane.getByRole('button', { name: 'pause lane default' }).click()
  await fillReason(page, 'the lamps are rewired')
  await page.keyboard.press('Enter')
  await lane.locator('.tag', { hasText: 'paused' }).waitFor()
  await page.getByText('Lane default is paused').waitFor()
  await until('the dispatcher lets go of the lane', async () => (await queue('lane')).consumers === 0)
  for (let i = 0; i < 3; i++) await tenant.send('lamp-2', 'lamp.say', [i])
  await until('the broker counts them', async () => (await queue('lane')).ready === 3)
  await page.waitForFunction(() => document.querySelector('.lane .figures dd').textContent === '3')
  // The same figures over time, as a screen reader has them.
  for (const words of ['waiting 3', 'consumers 0', 'age of the oldest']) await lane.locator(`.plot[aria-label*="${words}"]`).waitFor()
  assert.equal(await lane.locator('.plot canvas').count(), 4)
  await lane.getByRole('button', { name: 'resume lane default' }).click()
  await page.getByText('3 commands wait in it now.').waitFor()
  await fillReason(page, 'done')
  await page.keyboard.press('Enter')
  await lane.locator('.tag', { hasText: 'running' }).waitFor({ timeout: 60_000 })
  await until('all are answered', async () => (await tenant.call('GET', 'recent-commands?device=lamp-2&state=answered')).commands.length === 3)
})
