import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { accessibility, api, launch, login, makeTenant, tab } from './site.js'

let browser, tenant
before(async () => {
  browser = await launch()
  tenant = await makeTenant()
})
after(async () => {
  await browser?.close()
  await tenant?.stop()
})

test('axe-core finds nothing serious on any page, light and dark, wide and narrow', async (t) => {
  await tenant.bury(3)
  const { letters } = await tenant.call('GET', 'dead-letters?limit=1')
  const { job_id: job } = await tenant.call('POST', 'dead-letter-jobs', { kind: 'redrive', filter: { device: 'nobody' }, reason: 'a job to look at', actor: 'ann' })
  const views = ['now', 'jobs', `jobs/${job}`, 'dead-letters', 'dead-letters/list?state=any', `dead-letters/${letters[0].letter_id}`, 'commands', `commands/${letters[0].command_id}`, 'devices', 'devices/lamp-1', 'audit', 'nothing']
  await Promise.all([{ colorScheme: 'light' }, { colorScheme: 'dark', viewport: { width: 360, height: 740 } }].map(async (options) => {
    const page = await tab(t, browser, options)
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
    assert.deepEqual(await accessibility(page), [], 'dialog of a job')
    await page.goto(`${api}/console/devices/lamp-1`)
    await page.getByRole('button', { name: 'pause device lamp-1' }).click()
    assert.deepEqual(await accessibility(page), [], 'dialog of a pause')
  }))
})
