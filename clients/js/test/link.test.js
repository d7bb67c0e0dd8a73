import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fullJitter } from '../src/advice.js'
import { connect } from '../src/index.js'
import { Tokens } from '../src/token.js'
import { Wake } from '../src/wake.js'
import { deferred, scripted, settle } from './peer.js'

for (const code of [4000, 4001, 4002, 4003, 4004, 4099]) {
  test(`close code ${code} ends the client`, async (t) => {
    const { client, sockets, states } = scripted(t)
    const socket = await sockets.take()
    socket.readyState = 1
    socket.onopen()
    socket.lose(code, 'no')
    assert.equal((await client.closed).code, code)
    assert.equal(await states.take(), 'closed')
    await settle()
    assert.equal(sockets.size, 0)
  })
}

test('states: recovering while the platform keeps the place, then offline, then online', async (t) => {
  const { client, sockets, states } = scripted(t)
  assert.equal(client.status.state, 'connecting')
  const first = await sockets.take()
  await first.open({ reconnect: 0.02 })
  first.say({ type: 'lag', on: true, waiting: 5 })
  first.say({ type: 'lag', on: false, waiting: 0 })
  first.lose(4100)
  const began = Date.now()
  while (client.status.state !== 'offline') {
    assert.ok(Date.now() - began < 30_000)
    ;(await sockets.take()).lose()
    await settle()
  }
  await (await sockets.take()).open()
  const seen = []
  while (seen.at(-1) !== 'online' || seen.length < 2) seen.push(await states.take())
  assert.deepEqual(seen, ['online', 'lagging', 'online'])
  for (const state of ['recovering', 'offline', 'online']) assert.equal(await states.take(), state)
})

test('a client that was never connected is offline', async (t) => {
  const { sockets, states } = scripted(t)
  ;(await sockets.take()).lose()
  assert.equal(await states.take(), 'offline')
  await (await sockets.take()).open()
  assert.equal(await states.take(), 'online')
})

test('a drain is obeyed at its moment, and the session named', async (t) => {
  const { sockets } = scripted(t, { minWait: 60_000, maxWait: 60_000 })
  const first = await sockets.take()
  await first.open({ session: 's-7' })
  const began = performance.now()
  first.say({ type: 'drain', in: 50 })
  await first.closed.take()
  assert.ok(performance.now() - began >= 45)
  // No jitter on top of that: with the waits above this would take a minute.
  const second = await sockets.take()
  assert.equal((await second.open()).session, 's-7')
  second.lose(4200, 'drain')
  await (await sockets.take()).open()
})

test('the wait before the next attempt has full jitter', () => {
  const limits = Array.from({ length: 10 }, (_, failures) => fullJitter(250, 30_000, failures, () => 1))
  assert.deepEqual(limits, [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000])
  assert.equal(fullJitter(250, 30_000, 5, () => 0), 0)
  assert.equal(fullJitter(250, 30_000, 10_000, () => 1), 30_000)
})

test('what is no frame makes the client connect anew', async (t) => {
  const { client, sockets } = scripted(t)
  for (const garbage of ['{', new ArrayBuffer(3), '{"type":"outcome"\n}']) {
    const socket = await sockets.take()
    await socket.open()
    socket.onmessage({ data: garbage })
    await socket.closed.take()
  }
  const socket = await sockets.take()
  await socket.open()
  socket.say('', { type: 'from the future' }, { type: 'ping' })
  assert.deepEqual(await socket.frames.take(), { type: 'pong' })
  assert.equal(client.status.state, 'online')
})

test('a server of another subprotocol is left', async (t) => {
  const { sockets } = scripted(t)
  const socket = await sockets.take()
  socket.protocol = ''
  socket.readyState = 1
  socket.onopen()
  await socket.closed.take()
  assert.equal(socket.frames.size, 0)
})

test('a new token is fetched before the old one ends, and handed over', async (t) => {
  let fetched = 0
  const { sockets } = scripted(t, { token: () => ({ token: `cup_${++fetched}`, expiresAt: Date.now() + (fetched === 1 ? 100 : 3_600_000) }) })
  const socket = await sockets.take()
  assert.equal((await socket.open()).token, 'cup_1')
  assert.deepEqual(await socket.frames.take('auth'), { type: 'auth', token: 'cup_2' })
  socket.lose()
  assert.equal((await (await sockets.take()).open()).token, 'cup_2')
})

test('a token that looks good by a clock that is behind is replaced; a fresh one that is refused ends the client', async (t) => {
  let fetched = 0
  const { client, sockets } = scripted(t, { token: () => ({ token: `cup_${++fetched}`, expiresAt: Date.now() + 3_600_000 }) })
  const refuse = (socket) => {
    socket.readyState = 1
    socket.onopen()
    socket.lose(4001, 'the key or token has expired')
  }
  const first = await sockets.take()
  assert.equal((await first.open()).token, 'cup_1')
  first.lose(4203)
  const second = await sockets.take()
  assert.equal((await second.open()).token, 'cup_2')
  second.lose()
  // By now it has ended, too, and the platform says so at once.
  const third = await sockets.take()
  refuse(third)
  assert.equal((await third.frames.take('hello')).token, 'cup_2')
  const fourth = await sockets.take()
  refuse(fourth)
  assert.equal((await fourth.frames.take('hello')).token, 'cup_3')
  assert.equal((await client.closed).code, 4001)
  assert.equal(sockets.size, 0)
})

test('what the platform reports without closing stands in the status until the next welcome', async (t) => {
  const { client, sockets } = scripted(t)
  const socket = await sockets.take()
  await socket.open()
  socket.say({ type: 'error', code: 'not_verified', message: 'the token cannot be checked now; send it again', temporary: true })
  assert.match(client.status.error.message, /not_verified/)
  assert.equal(client.status.state, 'online')
  socket.lose()
  await (await sockets.take()).open()
  assert.equal(client.status.error, undefined)
})

test('tokens are fetched one at a time, and a fetch that failed is not remembered', async () => {
  const fetches = []
  const tokens = new Tokens(() => {
    fetches.push(deferred())
    return fetches.at(-1).promise
  })
  const all = [tokens.get(), tokens.fetch(), tokens.known()]
  await settle()
  assert.equal(fetches.length, 1)
  fetches[0].reject(new Error('no'))
  for (const one of all) await assert.rejects(one, /no/)
  const again = tokens.get()
  await settle()
  fetches[1].resolve('cup_1')
  assert.equal(await again, 'cup_1')
  assert.equal(await tokens.get(), 'cup_1')
  assert.equal(fetches.length, 2)
})

test('a token that cannot be had is waited for', async (t) => {
  let fetched = 0
  const { client, sockets } = scripted(t, { token: async () => {
    if (++fetched < 3) throw new Error('no token today')
    return 'cup_1'
  } })
  const socket = await sockets.take()
  assert.match(client.status.error.cause.message, /no token today/)
  assert.equal((await socket.open()).token, 'cup_1')
})

test('a token callback that hangs does not keep the client from closing', async (t) => {
  const { client } = scripted(t, { token: () => new Promise(() => {}) })
  assert.equal(await client.close(), undefined)
})

test('a browser\'s offline and online events are believed', async (t) => {
  const page = browser()
  const { client, sockets } = scripted(t, { minWait: 60_000, maxWait: 60_000 })
  t.after(page.leave)
  const socket = await sockets.take()
  await socket.open()
  globalThis.dispatchEvent(new Event('offline'))
  await socket.closed.take()
  assert.equal(client.status.state, 'offline')
  await settle()
  // Nothing but the event ends a wait that long.
  globalThis.dispatchEvent(new Event('online'))
  await (await sockets.take()).open()
  assert.equal(client.status.state, 'online')
})

test('a page that becomes visible does not wait any longer, and leaves a silent connection', async (t) => {
  const page = browser()
  const { sockets } = scripted(t, { minWait: 60_000, maxWait: 60_000 })
  t.after(page.leave)
  const first = await sockets.take()
  await first.open({ ping: -5 }) // so that the limit, with its 5 s of grace, is past at once
  await new Promise((resolve) => setTimeout(resolve, 2))
  page.document.dispatchEvent(new Event('visibilitychange'))
  await first.closed.take()
  await settle()
  page.document.dispatchEvent(new Event('visibilitychange'))
  await (await sockets.take()).open()
})

test('a gap in time counts as sleep', async (t) => {
  const awake = deferred()
  let ticks = 0
  const scope = new EventTarget()
  const nothing = () => {}
  const wake = new Wake({ onOffline: nothing, onOnline: nothing, onAwake: awake.resolve, onTick: () => ticks++ }, { every: 5, slept: 100, scope })
  t.after(() => wake.stop())
  const until = performance.now() + 150
  while (performance.now() < until); // nothing runs, as in sleep
  await awake.promise
  assert.ok(ticks <= 2)
})

/** Gives Node's global object a page's events. Tests in one file run one after the other. */
function browser() {
  const events = new EventTarget()
  const given = { document: Object.assign(new EventTarget(), { visibilityState: 'visible' }) }
  for (const name of ['addEventListener', 'removeEventListener', 'dispatchEvent']) given[name] = events[name].bind(events)
  Object.assign(globalThis, given)
  return {
    document: given.document,
    leave() {
      for (const name of Object.keys(given)) delete globalThis[name]
    },
  }
}

test('settings are checked at once, all of them, and without a WebSocket it is said what to pass', () => {
  const WebSocket = class {}
  assert.throws(() => connect({ url: 'ftp://x', pushUrl: '', token: '', window: 65, maxWait: 0, WebSocket }), (error) => {
    for (const part of ['url is ftp://x', 'pushUrl is', 'no token', 'window is 65', 'maxWait is 0']) assert.ok(error.message.includes(part), error.message)
    return error instanceof TypeError
  })
  const { WebSocket: own } = globalThis
  delete globalThis.WebSocket
  try {
    assert.throws(() => connect({ url: 'http://x', pushUrl: 'ws://x', token: 't' }), /import WebSocket from 'ws'/)
  } finally {
    if (own) globalThis.WebSocket = own
  }
})

test('only names of events can be listened to', (t) => {
  const { client } = scripted(t)
  assert.throws(() => client.on('outcom', () => {}), /there is no event outcom/)
})
