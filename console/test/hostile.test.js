import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { api, launch, login, makeTenant, publishGarbage, tab, until } from './site.js'

let browser, tenant
before(async () => {
  browser = await launch()
  tenant = await makeTenant()
})
after(async () => {
  await browser?.close()
  await tenant?.stop()
})

const hostile = '<img src=x onerror="document.title=1"><script>document.title=1</script>\u202eevil\u2066\u0007' + 'x'.repeat(10_000)

test('hostile strings, binary and large payloads are shown, and do nothing', async (t) => {
  await tenant.call('PUT', 'devices/lamp-1', { type: 'lamp', address: { url: tenant.lamps.url }, labels: { note: hostile.slice(0, 200) } })
  await tenant.send('lamp-off', 'lamp.say', { said: hostile }, hostile.slice(0, 100))
  await tenant.send('lamp-off', hostile.slice(0, 72), { hostile: 1 })
  await tenant.send('lamp-off', 'lamp.say', ['y'.repeat(65_000)], 'large')
  await publishGarbage(tenant.name, 'lamp-1', 'ff00fe3c7363726970743e')
  const all = await until('four letters', async () => {
    const [mine, system] = [await tenant.call('GET', 'dead-letters?limit=10'), await tenant.call('GET', 'dead-letters?limit=100&tenant=system')]
    const found = [...mine.letters.map((letter) => [letter, '']), ...system.letters.map((letter) => [letter, 'system'])]
    return found.length >= 4 && found
  })
  const page = await tab(t, browser, { viewport: { width: 360, height: 740 } })
  await login(page, tenant.token)
  const views = ['dead-letters', 'dead-letters/list?state=any', `dead-letters/list?text=${encodeURIComponent(hostile.slice(0, 300))}`, 'devices', 'devices/lamp-1', 'commands', 'audit',
    `dead-letters/${encodeURIComponent(hostile.slice(0, 60))}`, `devices/${encodeURIComponent(hostile.slice(0, 60))}`, 'dead-letters/list?tenant=system',
    ...all.flatMap(([letter, of]) => [`dead-letters/${letter.letter_id}?tenant=${of}`, letter.command_id && `commands/${letter.command_id}?tenant=${of}`].filter(Boolean))]
  for (const view of views) {
    await page.goto(`${api}/console/${view}`)
    await page.waitForSelector('.fresh:not([hidden]), .state')
    await page.waitForFunction(() => !document.querySelector('.skeleton'))
    assert.match(await page.title(), /Cupline$/, view)
    assert.equal(await page.locator('main script, main img').count(), 0, view)
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    assert.ok(wide <= 0, `${view} is ${wide} px wider than a screen of 360`)
  }
  const binary = all.find(([letter]) => letter.reason === 'undeliverable')
  assert.ok(binary, JSON.stringify(all.map(([letter]) => letter.reason)))
  await page.goto(`${api}/console/dead-letters/${binary[0].letter_id}?tenant=${binary[1]}`)
  await page.getByText('ff 00 fe 3c').waitFor()
  const large = all.find(([letter]) => letter.id === 'large')
  await page.goto(`${api}/console/dead-letters/${large[0].letter_id}`)
  await page.getByRole('button', { name: /Show all/ }).click()
  await page.waitForFunction(() => document.querySelector('pre[aria-label=payload]').textContent.length > 65_000)
  const said = all.find(([letter]) => letter.method === 'lamp.say' && letter.id !== 'large')
  await page.goto(`${api}/console/dead-letters/${said[0].letter_id}`)
  await page.locator('.ctl', { hasText: 'U+202E' }).first().waitFor()
})
