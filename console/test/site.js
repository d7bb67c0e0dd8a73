// The real platform, as e2e/js starts it, and a real browser: run `make browser`, not node alone.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'

const { CUPLINE_API_URL: api, CUPLINE_TEST_CONTROL: control, CUPLINE_TEST_MANAGEMENT: management } = process.env
if (!api || !control || !management) throw new Error('these tests need the platform: run `make browser`')


export { launch } from './browser.js'
export { api, management }
export const EVERYTHING = 'commands:send,replies:read,devices:read,devices:write,ops:read,ops:write,ops:platform,tenants:admin'

async function ask(url, init) {
  const answer = await fetch(url, { method: 'POST', ...init })
  const body = await answer.text()
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${body}`)
  return body ? JSON.parse(body) : undefined
}

export const kill = (service) => ask(`${control}/kill/${service}`)
export const start = (service) => ask(`${control}/start/${service}`)
export const makeToken = (fields) => ask(`${control}/tokens`, { body: new URLSearchParams(fields) })
export const makeKey = (fields) => ask(`${control}/keys`, { body: new URLSearchParams(fields) })

/** Resolves with the first value that is true; nothing but asking tells of it. */
export async function until(what, ask, limit = 60_000) {
  for (const deadline = Date.now() + limit; ;) {
    const found = await ask()
    if (found) return found
    if (Date.now() > deadline) throw new Error(`not within ${limit / 1000} s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

const schema = {
  type: 'object', required: ['on'], additionalProperties: false,
  properties: {
    on: { type: 'boolean', description: 'whether it shines' },
    level: { type: 'integer', minimum: 0, maximum: 100, description: 'how much' },
    mode: { enum: ['warm', 'cold'] },
    label: { type: 'string', maxLength: 40 },
  },
}

/** A tenant of its own: lamps that answer, and one that nobody answers for until it is switched on. */
export async function makeTenant(name = `t${Math.random().toString(36).slice(2, 10)}`) {
  const { token } = await makeKey({ tenant: name, client: 'ann', scope: EVERYTHING })
  const lamps = await serveLamps()
  const off = await serveLamps()
  await off.stop()
  const call = (method, path, body) => ask(`${api}/v1/${path}`, {
    method, body: body === undefined ? undefined : JSON.stringify(body), headers: { Authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
  })
  await call('PUT', 'device-types/lamp', { lane: 'default', driver: 'http', methods: {
    'relay.set': { timeout: '5s', ttl: '60s', params: schema }, 'lamp.say': { timeout: '5s', idempotent: true, ttl: '10m' }, 'lamp.selftest': { timeout: '1s' },
  } })
  await call('PUT', 'devices/lamp-1', { type: 'lamp', address: { url: lamps.url }, labels: { room: 'kitchen', floor: '1' } })
  await call('PUT', 'devices/lamp-2', { type: 'lamp', address: { url: lamps.url }, labels: { room: 'hall' } })
  await call('PUT', 'devices/lamp-off', { type: 'lamp', address: { url: off.url }, labels: { room: 'cellar' } })
  const send = (device, method, params, id) => call('POST', `devices/${device}/commands`, { jsonrpc: '2.0', id: id ?? `c-${Math.random().toString(36).slice(2)}`, method, params })
  /** Sends what will die, and waits until it has. */
  const bury = async (n) => {
    for (let i = 0; i < n; i++) await send('lamp-off', 'relay.set', { on: i % 2 === 0 }, `order-${i + 1}`)
    await until(`${n} dead letters`, async () => (await call('GET', 'dead-letters?device=lamp-off&limit=1000')).letters.length >= n)
  }
  return { name, token, call, send, bury, lamps, off, stop: () => Promise.all([lamps.stop(), off.stop()]) }
}

/**
 * A lamp's own server: it answers with the params, but for lamp.selftest, which it never answers. It keeps no connection: a command that
 * meets one which is just being closed may have been executed, and that is not what the tests are about.
 */
async function serveLamps() {
  let server, port = 0
  const begin = async () => {
    server = createServer(async (request, response) => {
      let body = ''
      for await (const part of request) body += part
      const { id, method, params } = JSON.parse(body)
      if (method === 'lamp.selftest') return
      response.setHeader('Content-Type', 'application/json')
      response.setHeader('Connection', 'close')
      response.end(JSON.stringify({ jsonrpc: '2.0', id, result: params ?? null }))
    })
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    port = server.address().port
  }
  await begin()
  return {
    url: `http://127.0.0.1:${port}/`, start: begin,
    async stop() {
      if (!server.listening) return
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Puts bytes that are no command into the lane of a device, as somebody with the broker's password might. */
export async function publishGarbage(tenant, device, hex) {
  const { username, password, origin } = new URL(management)
  const answer = await fetch(`${origin}/api/exchanges/%2F/cupline.commands/publish`, {
    method: 'POST', headers: { Authorization: `Basic ${btoa(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`)}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ properties: {}, routing_key: `default.${tenant}.${device}`, payload: Buffer.from(hex, 'hex').toString('base64'), payload_encoding: 'base64' }),
  })
  if (!answer.ok || !(await answer.json()).routed) throw new Error(`publish: ${answer.status}`)
}

/** A tab that notes everything that must not happen: scripts' errors, breaches of the policy, requests to anywhere else, dialogs. */
export async function openTab(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options })
  const page = await context.newPage()
  const problems = []
  await page.exposeFunction('tellBreach', (breach) => { problems.push(`policy: ${breach}`) })
  await page.addInitScript(() => document.addEventListener('securitypolicyviolation', (event) => globalThis.tellBreach(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`)))
  const home = new URL(api).host
  page.on('pageerror', (error) => problems.push(`script: ${error.stack}`))
  page.on('dialog', (dialog) => { problems.push(`dialog: ${dialog.message()}`); dialog.dismiss() })
  page.on('console', (message) => {
    if (/Content Security Policy|TrustedHTML|TrustedScript/.test(message.text())) problems.push(`policy: ${message.text()}`)
  })
  page.on('request', (request) => {
    const url = new URL(request.url())
    if (url.protocol !== 'data:' && url.host !== home) problems.push(`request to ${url.origin}`)
  })
  page.setDefaultTimeout(90_000) // nothing here is about speed, and machines are busy
  return { page, context, problems }
}

/** One test's own tab; whatever must not happen in it fails the test at its end. */
export async function tab(t, browser, options) {
  const { page, context, problems } = await openTab(browser, options)
  t.after(async () => {
    await context.close()
    assert.deepEqual(problems, [])
  })
  return page
}

/** Says why, and who, in the dialog that is open. */
export async function fillReason(page, reason) {
  await page.fill('dialog [name=reason]', reason)
  await page.fill('dialog [name=actor]', 'ann')
}

export async function login(page, token, path = 'now') {
  await page.goto(`${api}/console/${path}`)
  await enter(page, token)
}

/** Gives the log-in that is shown a key or token. */
export async function enter(page, token) {
  await page.fill('[name=key]', token)
  await page.click('text=Log in >> nth=-1')
  await page.waitForSelector('.account strong', { state: 'attached' })
}

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** What axe-core finds that is serious or worse, as text. */
export async function accessibility(page) {
  await page.evaluate(axe)
  const { violations } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ['violations'] }))
  return violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map(({ html }) => html.slice(0, 160)).join(' | ')}`)
}
