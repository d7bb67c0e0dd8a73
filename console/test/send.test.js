import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { EVERYTHING, kill, launch, login, makeKey, makeTenant, start, tab } from './site.js'

let browser, tenant
before(async () => {
  browser = await launch()
  tenant = await makeTenant()
})
after(async () => {
  await browser?.close()
  await tenant?.stop()
})

test('a command is sent from the form, its outcome arrives; the pusher is killed and the page recovers', async (t) => {
  const page = await tab(t, browser)
  await login(page, (await makeKey({ tenant: tenant.name, client: 'console', scope: EVERYTHING })).token, 'devices')
  await page.fill('[name=text]', 'KITCHEN')
  await page.keyboard.press('Enter')
  await page.getByRole('link', { name: 'lamp-1' }).click()
  await page.selectOption('.send-form select[name=method]', 'relay.set')
  const send = page.getByRole('button', { name: 'Send', exact: true })
  const answered = (n) => page.locator('.outcome[data-outcome=answered]').nth(n - 1).waitFor({ timeout: 60_000 })
  await page.getByRole('combobox', { name: 'on', exact: true }).selectOption({ label: 'true' })
  await page.getByRole('spinbutton', { name: /^level/ }).fill('70')
  await send.click()
  await answered(1)
  assert.match(await page.textContent('.outcome pre'), /"level": 70/)
  await page.waitForSelector('[data-state=online]')

  await kill('pusher')
  await page.waitForSelector('[data-state=recovering], [data-state=offline]')
  await start('pusher')
  await page.waitForSelector('[data-state=online]', { timeout: 60_000 })
  await send.click()
  await answered(2)

  // What the schema refuses is told where it is.
  await page.getByRole('button', { name: 'Write it as JSON' }).click()
  await page.locator('.send-form textarea').fill('{"on": "yes"}')
  await send.click()
  await page.locator('.send-form').getByText(/fail the method's schema|want boolean/).waitFor()
  await page.locator('.outcome a').first().click()
  await page.getByRole('heading', { name: 'Its life' }).waitFor()
  await page.getByRole('heading', { name: 'Acked by the client' }).waitFor()
})
