import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { accessibility, api, EVERYTHING, kill, launch, login, makeKey, makeTenant, openTab, publishGarbage, start, until } from './site.js'

let browser, tenant
before(async () => {
  browser = await launch()
  tenant = await makeTenant()
})
after(async () => {
  await browser?.close()
  await tenant?.stop()
})

/** One test's own tab; whatever must not happen in it fails the test at its end. */
async function tab(t, options) {
  const opened = await openTab(browser, options)
  t.after(async () => {
    await opened.context.close()
    assert.deepEqual(opened.problems, [])
  })
  return opened.page
}

const fillReason = async (page, reason) => {
  await page.fill('dialog [name=reason]', reason)
  await page.fill('dialog [name=actor]', 'ann')
}

test('log in, find a group, open a letter, redrive it by keyboard and see it succeed', async (t) => {
  await tenant.bury(3)
  const page = await tab(t)
  await page.goto(`${api}/console/dead-letters`)
  await page.fill('[name=key]', 'cup_wrong_key')
  await page.keyboard.press('Enter')
  await page.getByText('the key is not known').waitFor()
  await page.fill('[name=key]', tenant.token)
  await page.keyboard.press('Enter')
  // The group, then its letters, then one of them: all by keyboard.
  await page.getByRole('link', { name: 'device_offline' }).waitFor()
  await page.keyboard.press('j')
  await page.keyboard.press('Enter')
  await page.waitForURL(/dead-letters\/list.*group=/)
  await page.getByText('3 letters on this page').waitFor()
  await page.keyboard.press('j')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'What the client was told' }).waitFor()
  await page.getByText('-32011').first().waitFor()
  // The lamp gets power, and the letter is sent again.
  await tenant.off.start()
  await page.keyboard.press('r')
  await fillReason(page, 'the lamp has power again')
  await page.keyboard.press('Enter')
  await page.waitForSelector('[data-outcome=device]')
  await page.getByText('The device answered', { exact: true }).waitFor()
  await page.reload() // the key is still there, and the link reproduces the view
  await page.waitForSelector('[data-outcome=device]')
  await page.getByRole('textbox', { name: 'a note' }).fill('Somebody had unplugged it.\n<b>Twice.</b>')
  await page.getByRole('button', { name: 'Add' }).click()
  await page.locator('.notes').getByText('<b>Twice.</b>').waitFor()
  await page.getByRole('button', { name: 'Change…' }).click()
  await page.fill('dialog [name=assignee]', 'ben')
  await page.fill('dialog [name=tags]', 'cellar power')
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByText('# cellar').waitFor()
  await page.locator('h1').click()
  await page.keyboard.press('u')
  await page.getByText('2 letters on this page').waitFor()
  await tenant.off.stop()
})

test('letters are chosen and discarded; jobs show what they would do, run, pause, resume and end', async (t) => {
  await tenant.bury(12)
  const page = await tab(t)
  await login(page, tenant.token, 'dead-letters/list?device=lamp-off')
  await page.getByText('letters on this page').waitFor()
  for (const key of ['j', 'x', 'j', 'x']) await page.keyboard.press(key)
  await page.getByText('2 chosen').waitFor()
  await page.keyboard.press('d')
  await fillReason(page, 'no longer wanted')
  await page.keyboard.press('Enter')
  await page.getByText('2 letters discarded.').waitFor()

  const { letters } = await tenant.call('GET', 'dead-letters?device=lamp-off&state=open&limit=1000')
  await page.getByRole('button', { name: 'Redrive all…' }).click()
  await page.getByText(`${letters.length} letters would be redriven`, { exact: false }).waitFor()
  await page.fill('dialog [name=rate]', '1')
  await fillReason(page, 'power is back')
  await page.getByRole('button', { name: 'Redrive them' }).click()
  await page.waitForURL(/\/jobs\//)
  await page.getByText(/[1-9]\d* of \d+ done/).waitFor()
  for (const [act, state] of [['Pause', 'paused'], ['Resume', 'running'], ['Cancel', 'cancelled']]) {
    await page.getByRole('button', { name: act, exact: true }).click()
    await fillReason(page, `to see it ${state}`)
    await page.locator('dialog button.primary').click()
    await page.locator('.tag', { hasText: state }).first().waitFor()
  }
  await page.goto(`${api}/console/jobs`)
  await page.getByText('power is back').waitFor()
  // A discard is undone, and then sent with other params.
  await page.goto(`${api}/console/dead-letters/list?device=lamp-off&state=discarded`)
  await page.locator('tbody tr td a').first().click()
  await page.getByRole('button', { name: 'Undo' }).click()
  await fillReason(page, 'it was wanted')
  await page.getByRole('button', { name: 'Open it again' }).click()
  await page.getByRole('button', { name: 'Redrive' }).click()
  await page.getByText('Send it with other params').click()
  await page.fill('dialog textarea', '{"on": true, "level": 7}')
  await page.getByRole('button', { name: 'What would change?' }).click()
  await page.locator('dialog ins', { hasText: '7' }).waitFor()
  await page.locator('dialog').getByRole('button', { name: 'Cancel' }).click()
  await page.goto(`${api}/console/audit?stage=operator`)
  await page.getByText('power is back').first().waitFor()
})

test('a command is sent from the form, its outcome arrives; the pusher is killed and the page recovers', async (t) => {
  const page = await tab(t)
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

const hostile = '<img src=x onerror="document.title=1"><script>document.title=1</script>\u202eevil\u2066\u0007' + 'x'.repeat(10_000)

test('hostile strings, binary and large payloads are shown, and do nothing', async (t) => {
  const own = await makeTenant()
  t.after(() => own.stop())
  await own.call('PUT', 'devices/lamp-1', { type: 'lamp', address: { url: own.lamps.url }, labels: { note: hostile.slice(0, 200) } })
  await own.send('lamp-off', 'lamp.say', { said: hostile }, hostile.slice(0, 100))
  await own.send('lamp-off', hostile.slice(0, 72), { hostile: 1 })
  await own.send('lamp-off', 'lamp.say', ['y'.repeat(65_000)], 'large')
  await publishGarbage(own.name, 'lamp-1', 'ff00fe3c7363726970743e')
  const all = await until('four letters', async () => {
    const [mine, system] = [await own.call('GET', 'dead-letters?limit=10'), await own.call('GET', 'dead-letters?limit=100&tenant=system')]
    const found = [...mine.letters.map((letter) => [letter, '']), ...system.letters.map((letter) => [letter, 'system'])]
    return found.length >= 4 && found
  })
  const page = await tab(t, { viewport: { width: 360, height: 740 } })
  await login(page, own.token)
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

test('database, broker and api go away and come back: the page says so and heals', async (t) => {
  const page = await tab(t)
  await login(page, tenant.token, 'audit')
  await page.waitForSelector('.fresh:not([hidden])')
  for (const [service, words, view] of [['database', 'The database is away', 'audit'], ['broker', 'The broker is away', 'now'], ['api', 'The API does not answer', 'dead-letters']]) {
    await page.goto(`${api}/console/${view}`)
    await page.waitForSelector('.fresh:not([hidden])')
    await kill(service)
    await page.locator('.banner').getByText(words).waitFor({ timeout: 90_000 })
    assert.ok(await page.locator('main h1').isVisible(), `${service}: the page is still there`)
    await start(service)
    await page.waitForFunction(() => !document.querySelector('.banner'), undefined, { timeout: 90_000 })
    await page.waitForSelector('.fresh:not(.stale):not([hidden])')
  }
})

test('a token that ends sends to the log-in, and from there back to the same view', async (t) => {
  const page = await tab(t)
  const brief = await makeKey({ tenant: tenant.name, client: 'brief', scope: EVERYTHING, 'expires-in': '25s' }) // a busy machine takes its time to log in
  await login(page, brief.token, 'dead-letters/list?device=lamp-off&state=any')
  await page.getByText(/logged out: the key or token has expired/).waitFor({ timeout: 90_000 })
  assert.equal(await page.evaluate(() => sessionStorage.length), 0)
  await page.fill('[name=key]', tenant.token)
  await page.keyboard.press('Enter')
  await page.getByText('letters on this page').waitFor()
  assert.match(page.url(), /device=lamp-off&state=any/)
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.waitForSelector('[name=key]')
})

test('a key that may only look sees no buttons, and is told what it lacks', async (t) => {
  const page = await tab(t)
  const { token } = await makeKey({ tenant: tenant.name, client: 'looker', scope: 'ops:read,devices:read' })
  await login(page, token, 'now')
  await page.getByText('a key needs the scope').waitFor()
  await page.goto(`${api}/console/dead-letters/list?state=any`)
  await page.getByText('letters on this page').waitFor()
  assert.equal(await page.getByRole('button', { name: /Redrive|Discard/ }).count(), 0)
  await page.goto(`${api}/console/devices/lamp-1`)
  await page.getByText('For that a key needs the scopes').waitFor()
})

test('axe-core finds nothing serious on any page, light and dark, wide and narrow', async (t) => {
  const { letters } = await tenant.call('GET', 'dead-letters?limit=1')
  const views = ['now', 'dead-letters', 'dead-letters/list?state=any', `dead-letters/${letters[0].letter_id}`, 'commands', `commands/${letters[0].command_id}`, 'devices', 'devices/lamp-1', 'audit', 'nothing']
  for (const options of [{ colorScheme: 'light' }, { colorScheme: 'dark', viewport: { width: 360, height: 740 } }]) {
    const page = await tab(t, options)
    await page.goto(`${api}/console/`)
    await page.waitForSelector('[name=key]')
    assert.deepEqual(await accessibility(page), [], 'log-in')
    await login(page, tenant.token)
    for (const view of views) {
      await page.goto(`${api}/console/${view}`)
      await page.waitForSelector('#app.shell')
      await page.waitForFunction(() => !document.querySelector('.skeleton') && document.querySelector('main h1, main .state'))
      assert.deepEqual(await accessibility(page), [], `${view} ${JSON.stringify(options)}`)
    }
    await page.goto(`${api}/console/dead-letters/list?device=lamp-off`)
    await page.getByRole('button', { name: 'Redrive all…' }).click()
    await page.getByText('would be redriven', { exact: false }).waitFor()
    assert.deepEqual(await accessibility(page), [], 'dialog')
  }
})

test('on a slow link it is slow, and works', async (t) => {
  const page = await tab(t)
  const session = await page.context().newCDPSession(page)
  await session.send('Network.emulateNetworkConditions', { offline: false, latency: 300, downloadThroughput: 60 << 10, uploadThroughput: 30 << 10 })
  const began = Date.now()
  await login(page, tenant.token, 'dead-letters/list?state=any')
  await page.getByText('letters on this page').waitFor({ timeout: 60_000 })
  t.diagnostic(`with 300 ms and 60 KB/s the list of letters was there ${Date.now() - began} ms after its address was asked for, log-in included`)
  await page.getByRole('link', { name: 'Audit' }).click()
  await page.getByText('entries on this page').waitFor({ timeout: 60_000 })
})
