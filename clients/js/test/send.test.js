import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InDoubtError, NotWaitedError, PlatformError, RefusedError, resultOf } from '../src/index.js'
import { outcome, scripted, settle } from './peer.js'

const COMMAND = '01908c3e-7d2a-7000-8000-000000000001'
const accepted = (post, command_id = COMMAND) =>
  post.answer(202, { id: post.request.id, command_id, expires_at: '2026-03-01T12:01:00Z' })

/** A client that is online. */
async function online(t, settings) {
  const all = scripted(t, settings)
  const unclaimed = []
  all.client.on('outcome', (frame) => { unclaimed.push(frame) })
  const socket = await all.sockets.take()
  await socket.open()
  return { ...all, socket, unclaimed }
}

test('send posts a JSON-RPC request and resolves with the outcome', async (t) => {
  const { client, posts, socket, unclaimed } = await online(t)
  const sent = client.send('lamp-1', 'relay.set', { on: true }, { ttl: '30s' })
  const post = await posts.take()
  assert.equal(post.url, 'http://api.test/v1/devices/lamp-1/commands')
  assert.equal(post.init.headers.Authorization, 'Bearer cup_1')
  assert.equal(post.init.headers['Cupline-TTL'], '30s')
  assert.match(post.request.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.deepEqual(post.request, { jsonrpc: '2.0', id: post.request.id, method: 'relay.set', params: { on: true } })
  accepted(post)
  await settle()
  socket.outcome({ id: post.request.id })
  assert.deepEqual(resultOf(await sent), { on: true })
  assert.deepEqual(await socket.frames.take(), { type: 'ack', seq: 1 })
  assert.equal(unclaimed.length, 0)
})

test('the outcome may come before the 202', async (t) => {
  const { client, posts, socket, unclaimed } = await online(t)
  const sent = client.send('lamp-1', 'relay.set', { on: true }, { id: 'c-9' })
  const post = await posts.take()
  const frame = socket.outcome({ id: 'c-9' })
  await socket.frames.take('the ack')
  accepted(post)
  assert.deepEqual(await sent, frame)
  socket.outcome({ id: 'c-9', source: 'mailbox' })
  await socket.frames.take('the ack of the copy')
  assert.equal(unclaimed.length, 0)
})

test('the outcome may come from the mailbox, after a reconnect', async (t) => {
  const { client, posts, sockets, socket, states } = await online(t)
  const sent = client.send('lamp-1', 'relay.set', undefined, { id: 7 })
  accepted(await posts.take())
  await settle()
  socket.lose()
  const next = await sockets.take()
  assert.equal((await next.open({ session: 's-2', waiting: 1 })).session, 's-1')
  const frame = next.outcome({ id: 7, source: 'mailbox' })
  assert.deepEqual(await sent, frame)
  assert.deepEqual([await states.take(), await states.take(), await states.take()], ['online', 'recovering', 'online'])
})

test('outcomes are matched by command id, else by id, and never across kinds of id, devices or redrives', async (t) => {
  const { client, posts, socket, unclaimed } = await online(t)
  const sent = client.send('lamp-1', 'relay.set', undefined, { id: '1' })
  accepted(await posts.take())
  await settle()
  const others = [
    { id: 1 }, { id: '1', device: 'lamp-2' }, { id: '1', method: 'relay.get' }, { id: '1', redrive: 1 },
    { id: '1', origin: 'platform', response: { jsonrpc: '2.0', id: '1', error: { code: -32016, message: '', data: { reason: 'duplicate_id' } } } },
  ].map((fields, i) => socket.outcome({ command_id: `other-${i}`, ...fields }))
  while ((await socket.frames.take('an ack')).seq !== others.length);
  assert.deepEqual(unclaimed, others)
  const frame = socket.outcome({ id: '1' })
  assert.deepEqual(await sent, frame)
})

test('a platform error is an outcome, and resultOf throws it', async (t) => {
  const { client, posts, socket } = await online(t)
  const sent = client.send('lamp-1', 'relay.set', undefined, { id: 'c-1' })
  accepted(await posts.take())
  const error = { code: -32012, message: 'no answer from the device', data: { reason: 'no_answer', executed: 'maybe', command_id: COMMAND, device: 'lamp-1' } }
  socket.outcome({ origin: 'platform', response: { jsonrpc: '2.0', id: 'c-1', error } })
  const got = await sent
  assert.throws(() => resultOf(got), (e) => e instanceof PlatformError && e.executed === 'maybe' && e.reason === 'no_answer')
})

const problem = (status, code) => ({ type: `urn:cupline:problem:${code}`, title: 'No', status, code, detail: 'because', command_id: COMMAND })
for (const [what, status, body, headers, kind] of [
  ['queue full', 503, problem(503, 'queue_full'), { 'Retry-After': '3' }, RefusedError],
  ['in doubt', 504, problem(504, 'in_doubt'), {}, InDoubtError],
  ['internal', 500, problem(500, 'internal'), {}, InDoubtError],
  ['unknown device', 404, problem(404, 'unknown_device'), {}, RefusedError],
  ['a proxy\'s 502', 502, 'bad gateway', { 'Content-Type': 'text/html' }, InDoubtError],
  ['a proxy\'s 403', 403, 'no', { 'Content-Type': 'text/html' }, RefusedError],
  ['a redirect', 307, '', { 'Content-Type': 'text/html' }, InDoubtError],
]) {
  test(`an answer that is no acceptance: ${what}`, async (t) => {
    const { client, posts } = await online(t)
    const sent = client.send('lamp-1', 'relay.set', undefined, { id: 'c-1' })
    ;(await posts.take()).answer(status, body, headers)
    await assert.rejects(sent, (error) => {
      assert.equal(error.constructor, kind)
      assert.equal(error.id, 'c-1')
      assert.equal(error.problem?.code, body.code)
      assert.equal(error.retryAfter, headers['Retry-After'] ? 3000 : 0)
      return true
    })
  })
}

test('no answer is in doubt, no connection is a refusal', async (t) => {
  const { client, posts, socket } = await online(t, { timeout: 50 })
  const refused = client.send('lamp-1', 'relay.set')
  ;(await posts.take()).fail(new TypeError('fetch failed', { cause: Object.assign(new Error(), { code: 'ECONNREFUSED' }) }))
  await assert.rejects(refused, RefusedError)
  const lost = client.send('lamp-1', 'relay.set')
  ;(await posts.take()).fail(new TypeError('fetch failed', { cause: Object.assign(new Error(), { code: 'ECONNRESET' }) }))
  await assert.rejects(lost, InDoubtError)
  const silent = client.send('lamp-1', 'relay.set')
  await assert.rejects(silent, InDoubtError)
  await posts.take()
  // The doubt is over when the outcome has come.
  const answered = client.send('lamp-1', 'relay.set', undefined, { id: 'c-1' })
  await posts.take()
  const frame = socket.outcome()
  assert.deepEqual(await answered, frame)
})

test('the caller may stop waiting: accepted, the outcome goes to the handler; else it is in doubt', async (t) => {
  const { client, posts, socket, unclaimed } = await online(t)
  const waiting = new AbortController()
  const sent = client.send('lamp-1', 'relay.set', undefined, { id: 'c-1', signal: waiting.signal })
  accepted(await posts.take())
  await settle()
  waiting.abort(new Error('enough'))
  await assert.rejects(sent, (error) => error instanceof NotWaitedError && error.commandId === COMMAND && error.cause.message === 'enough')
  socket.outcome()
  await socket.frames.take('the ack')
  assert.equal(unclaimed.length, 1)
  const posting = new AbortController()
  const cut = client.send('lamp-1', 'relay.set', undefined, { signal: posting.signal })
  await posts.take()
  posting.abort()
  await assert.rejects(cut, InDoubtError)
})

test('waiting commands are bounded', async (t) => {
  const { client, posts } = await online(t, { maxCalls: 1 })
  const first = client.send('lamp-1', 'relay.set')
  accepted(await posts.take())
  await settle()
  await assert.rejects(client.send('lamp-1', 'relay.set'), RefusedError)
  assert.equal(posts.size, 0)
  await client.close()
  await assert.rejects(first, NotWaitedError)
  await assert.rejects(client.send('lamp-1', 'relay.set'), RefusedError)
})

test('post resolves when it is accepted; one-way commands have no id', async (t) => {
  const { client, posts } = await online(t)
  const sent = client.post('lamp-1', 'relay.set', { on: true }, { oneWay: true })
  const post = await posts.take()
  assert.deepEqual(post.request, { jsonrpc: '2.0', method: 'relay.set', params: { on: true } })
  post.answer(202, { id: null, command_id: COMMAND, expires_at: '2026-03-01T12:01:00Z' })
  assert.equal((await sent).command_id, COMMAND)
})

test('what was refused for its token is sent again with a new one, once', async (t) => {
  let fetched = 0
  const { client, posts } = await online(t, { token: async () => `cup_${++fetched}` })
  const sent = client.send('lamp-1', 'relay.set', undefined, { id: 'c-1' })
  const [first, ...rest] = [await posts.take()]
  first.answer(401, problem(401, 'unauthorized'))
  rest.push(await posts.take())
  assert.deepEqual([first, ...rest].map(({ init }) => init.headers.Authorization), ['Bearer cup_1', 'Bearer cup_2'])
  assert.equal(first.init.body, rest[0].init.body)
  rest[0].answer(401, problem(401, 'unauthorized'))
  await assert.rejects(sent, RefusedError)
  assert.equal(posts.size, 0)
})
