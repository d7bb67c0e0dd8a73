import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { api, EVERYTHING, launch, login, makeKey, makeTenant, makeToken, tab } from './site.js'

let browser, tenant
before(async () => {
  browser = await launch()
  tenant = await makeTenant()
})
after(async () => {
  await browser?.close()
  await tenant?.stop()
})

// Side by side, because the first waits for keys to end. A busy machine takes its time to log in.
const BRIEF = '25s'

describe('log-ins', { concurrency: 3 }, () => {
  test('a key and a token that end send to the log-in, and from there back to the same view', async (t) => {
    const key = { ...await makeKey({ tenant: tenant.name, client: 'brief', scope: EVERYTHING, 'expires-in': BRIEF }), words: /logged out: the key or token has expired/ }
    const jwt = { ...await makeToken({ tenant: tenant.name, client: 'jo', scope: EVERYTHING.replaceAll(',', ' '), 'expires-in': BRIEF }), words: /logged out: .*(expired|token)/ }
    await Promise.all([key, jwt].map(async ({ token, words }) => {
      const page = await tab(t, browser)
      await login(page, token, 'dead-letters/list?device=lamp-off&state=any')
      await page.getByText(words).waitFor({ timeout: 90_000 })
      assert.equal(await page.evaluate(() => sessionStorage.length), 0)
      await page.fill('[name=key]', tenant.token)
      await page.keyboard.press('Enter')
      await page.getByText('letters on this page').waitFor()
      assert.match(page.url(), /device=lamp-off&state=any/)
      await page.getByRole('button', { name: 'Log out' }).click()
      await page.waitForSelector('[name=key]')
    }))
  })

  test('somebody with a token of the issuer works as with a key', async (t) => {
    const page = await tab(t, browser)
    const { token } = await makeToken({ tenant: tenant.name, client: 'jo', scope: EVERYTHING.replaceAll(',', ' '), 'expires-in': '10m' })
    await login(page, token, 'devices/lamp-1')
    assert.match(await page.textContent('.account'), new RegExp(`jo.*of ${tenant.name}`))
    await page.selectOption('.send-form select[name=method]', 'lamp.say')
    await page.locator('.send-form textarea').fill('["hello"]')
    await page.getByRole('button', { name: 'Send', exact: true }).click()
    await page.locator('.outcome[data-outcome=answered]').waitFor({ timeout: 60_000 })
    // Somebody else's tenant, no tenant, and a signature that is none.
    await page.getByRole('button', { name: 'Log out' }).click()
    const { token: nowhere } = await makeToken({ tenant: 'nowhere', client: 'jo', scope: EVERYTHING.replaceAll(',', ' '), 'expires-in': '10m' })
    for (const wrong of [nowhere, `${token.slice(0, -6)}AAAAAA`, `${token.split('.')[0]}..`]) {
      await page.fill('[name=key]', wrong)
      await page.keyboard.press('Enter')
      await page.locator('form [role=alert]', { hasText: /\S/ }).waitFor()
      await page.waitForFunction(() => !document.querySelector('form button').disabled)
      assert.equal(await page.evaluate(() => sessionStorage.length), 0)
    }
  })

  test('a key that may only look sees no buttons, and is told what it lacks', async (t) => {
    const page = await tab(t, browser)
    const { token } = await makeKey({ tenant: tenant.name, client: 'looker', scope: 'ops:read,devices:read' })
    await login(page, token, 'now')
    await page.getByText('a key needs the scope').waitFor()
    await page.goto(`${api}/console/dead-letters/list?state=any`)
    await page.getByText('letters on this page').waitFor()
    assert.equal(await page.getByRole('button', { name: /Redrive|Discard/ }).count(), 0)
    await page.goto(`${api}/console/devices/lamp-1`)
    await page.getByText('For that a key needs the scopes').waitFor()
  })
})
