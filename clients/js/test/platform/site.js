// The real platform, as e2e/js starts it: run `go test ./e2e/js` for these tests, not node alone.
import { once } from 'node:events'
import { createServer } from 'node:http'
import net from 'node:net'
import WebSocket from 'ws'
import { connect } from '../../src/index.js'

const { CUPLINE_API_URL: api, CUPLINE_PUSH_URL: push, CUPLINE_TEST_CONTROL: control } = process.env
if (!api || !push || !control) throw new Error('these tests need the platform: run them with `go test ./e2e/js`')

export { api, push, WebSocket }

async function ask(url, init) {
  const answer = await fetch(url, { method: 'POST', ...init })
  const body = await answer.text()
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${body}`)
  return body ? JSON.parse(body) : undefined
}

export const kill = (service) => ask(`${control}/kill/${service}`)
export const start = (service) => ask(`${control}/start/${service}`)
export const makeKey = (fields) => ask(`${control}/keys`, { body: new URLSearchParams(fields) })

/**
 * One test's own tenant, with devices lamp-1, lamp-2, ... that answer over HTTP: `echo` at once, `sleep` after params.ms; but
 * none between hold() and the call of what that returns.
 */
export async function tenant(t, devices = 1) {
  const name = `t${Math.random().toString(36).slice(2, 12)}`
  const { token, key } = await makeKey({ tenant: name, client: 'me' })
  const executions = new Map()
  let held = Promise.resolve()
  const hold = () => {
    let release
    held = new Promise((resolve) => { release = resolve })
    return release
  }
  const device = createServer(async (request, response) => {
    let body = ''
    for await (const part of request) body += part
    const { id, method, params } = JSON.parse(body)
    executions.set(id, (executions.get(id) ?? 0) + 1)
    await held
    if (method === 'sleep') await new Promise((resolve) => setTimeout(resolve, params.ms))
    response.setHeader('Content-Type', 'application/json')
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result: params ?? null }))
  })
  device.keepAliveTimeout = 600_000 // a command on a connection that is just being closed would be in doubt
  device.listen(0, '127.0.0.1')
  await once(device, 'listening')
  t.after(() => {
    device.close()
    device.closeAllConnections()
  })
  const put = (path, body) => ask(`${api}/v1/${path}`, {
    method: 'PUT', body: JSON.stringify(body), headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
  })
  await put('device-types/lamp', { lane: 'default', driver: 'http', methods: { echo: { timeout: '5m' }, sleep: { timeout: '20s' } } })
  const address = { url: `http://127.0.0.1:${device.address().port}/` }
  for (let i = 1; i <= devices; i++) await put(`devices/lamp-${i}`, { type: 'lamp', address })
  return { name, token, key, executions, hold }
}

/** A client of the tenant, closed when the test ends. */
export function client(t, token, settings = {}) {
  const c = connect({ url: api, pushUrl: push, token, WebSocket, maxWait: 500, ...settings })
  t.after(() => c.close())
  return c
}

/** Resolves when the client is in that state, now or next. */
export function reaches(c, state, limit = 90_000) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not ${state} but ${c.status.state}: ${c.status.error}`)), limit)
    const look = () => {
      if (c.status.state !== state) return
      clearTimeout(timer)
      off()
      resolve()
    }
    const off = c.on('state', look)
    look()
  })
}

/** A TCP proxy in front of the pusher, which can hold everything back without closing anything. */
export async function proxy(t) {
  const target = new URL(push)
  const pairs = new Set()
  let held = false
  const server = net.createServer((near) => {
    const far = net.connect(Number(target.port), target.hostname)
    const pair = [near, far]
    pairs.add(pair)
    near.pipe(far).pipe(near)
    if (held) for (const side of pair) side.pause()
    for (const side of pair) {
      side.on('error', () => {}) // the other side's close follows
      side.on('close', () => {
        for (const other of pair) other.destroy()
        pairs.delete(pair)
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const pair of pairs) for (const side of pair) side.destroy()
    server.close()
  })
  return {
    url: `ws://127.0.0.1:${server.address().port}`,
    cut() {
      for (const pair of pairs) for (const side of pair) side.destroy()
    },
    stall() {
      held = true
      for (const pair of pairs) for (const side of pair) side.unpipe().pause()
    },
    heal() {
      held = false // for new connections: what was stalled stays so, as a lost link does
    },
  }
}
