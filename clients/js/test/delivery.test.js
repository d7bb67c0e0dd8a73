import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deferred, outcome, scripted, settle } from './peer.js'

const command = (n) => `01908c3e-7d2a-7000-8000-${String(n).padStart(12, '0')}`

test('an outcome is acked after its handler\'s promise has resolved, not before', async (t) => {
  const { client, sockets } = scripted(t)
  const work = deferred()
  client.on('outcome', () => work.promise)
  const socket = await sockets.take()
  await socket.open()
  socket.outcome()
  await settle()
  assert.equal(socket.frames.size, 0)
  work.resolve()
  assert.deepEqual(await socket.frames.take('the ack'), { type: 'ack', seq: 1 })
})

test('acks are cumulative: one for a whole message, and one for each part of the window', async (t) => {
  const { client, sockets } = scripted(t)
  const order = []
  client.on('outcome', async ({ seq }) => { order.push(seq) })
  const socket = await sockets.take()
  await socket.open()
  const frames = Array.from({ length: 40 }, (_, i) => outcome({ seq: i + 1, command_id: command(i) }))
  socket.say(...frames)
  const acks = []
  while (acks.at(-1) !== 40) acks.push((await socket.frames.take('an ack')).seq)
  assert.deepEqual(order, frames.map(({ seq }) => seq))
  assert.ok(acks.length <= 4, `acks ${acks}`)
})

test('handlers get one outcome at a time', async (t) => {
  const { client, sockets } = scripted(t)
  let running = 0
  let most = 0
  client.on('outcome', async () => {
    most = Math.max(most, ++running)
    await settle()
    running--
  })
  const socket = await sockets.take()
  await socket.open()
  for (let i = 1; i <= 5; i++) socket.outcome({ command_id: command(i) })
  while ((await socket.frames.take('an ack')).seq !== 5);
  assert.equal(most, 1)
})

test('a copy is dropped, and acked, on the same connection and on the next', async (t) => {
  const { client, sockets } = scripted(t)
  let calls = 0
  client.on('outcome', () => { calls++ })
  const first = await sockets.take()
  await first.open()
  first.outcome()
  first.outcome()
  while ((await first.frames.take('an ack')).seq !== 2);
  first.lose()
  const second = await sockets.take()
  assert.equal((await second.open()).session, 's-1')
  second.outcome({ source: 'mailbox' })
  assert.deepEqual(await second.frames.take(), { type: 'ack', seq: 1 })
  assert.equal(calls, 1)
})

test('an outcome that is being handled when its connection is lost is not handled again', async (t) => {
  const { client, sockets } = scripted(t)
  const work = deferred()
  let calls = 0
  client.on('outcome', () => {
    calls++
    return work.promise
  })
  const first = await sockets.take()
  await first.open()
  first.outcome({ command_id: command(1) })
  first.outcome({ command_id: command(2) })
  await settle()
  first.lose()
  const second = await sockets.take()
  await second.open()
  second.outcome({ command_id: command(1) })
  second.outcome({ command_id: command(2) })
  await settle()
  assert.equal(calls, 1)
  work.resolve()
  while ((await second.frames.take('an ack')).seq !== 2);
  assert.equal(calls, 2)
  assert.equal(first.frames.size, 0)
})

test('an outcome whose handler fails comes again, by a new connection', async (t) => {
  const { client, sockets } = scripted(t)
  const seen = []
  client.on('outcome', async ({ command_id }) => {
    seen.push(command_id)
    if (seen.length === 2) throw new Error('disk full')
  })
  const first = await sockets.take()
  await first.open()
  first.say(...[1, 2, 3].map((n) => outcome({ seq: n, command_id: command(n) })))
  assert.deepEqual(await first.frames.take('the ack of the first'), { type: 'ack', seq: 1 })
  await first.closed.take('close')
  await settle()
  assert.match(client.status.error.message, /was not handled/)
  assert.equal(client.status.error.cause.message, 'disk full')
  const second = await sockets.take()
  await second.open()
  second.say(...[2, 3].map((n) => outcome({ seq: n - 1, command_id: command(n) })))
  while ((await second.frames.take('an ack')).seq !== 2);
  assert.deepEqual(seen, [1, 2, 2, 3].map(command))
})

test('closing finishes and acks what is being handled, and takes nothing more', async (t) => {
  const { client, sockets } = scripted(t)
  const work = deferred()
  const seen = []
  client.on('outcome', ({ command_id }) => {
    seen.push(command_id)
    return work.promise
  })
  const socket = await sockets.take()
  await socket.open()
  for (const n of [1, 2]) socket.outcome({ command_id: command(n) })
  await settle()
  const closing = client.close()
  await settle()
  assert.equal(socket.frames.size, 0)
  work.resolve()
  await closing
  assert.deepEqual([await socket.frames.take('the ack'), await socket.frames.take('bye')], [{ type: 'ack', seq: 1 }, { type: 'bye' }])
  assert.deepEqual(seen, [command(1)])
})

test('without a handler outcomes are acked and counted', async (t) => {
  const { client, sockets } = scripted(t)
  const socket = await sockets.take()
  await socket.open()
  socket.outcome()
  await socket.frames.take('the ack')
  assert.equal(client.status.unclaimed, 1)
})

test('the memory of command ids is bounded, and forgets the oldest', async (t) => {
  const { client, sockets } = scripted(t, { remember: 2 })
  const seen = []
  client.on('outcome', ({ command_id }) => { seen.push(command_id) })
  const socket = await sockets.take()
  await socket.open()
  for (const n of [1, 2, 3, 3, 2, 1]) {
    socket.outcome({ command_id: command(n) })
    await socket.frames.take('an ack')
  }
  assert.deepEqual(seen, [1, 2, 3, 1].map(command))
})

test('a server that sends more than the window is left', async (t) => {
  const { client, sockets } = scripted(t, { window: 2 })
  client.on('outcome', () => new Promise(() => {}))
  const socket = await sockets.take()
  assert.equal((await socket.open()).window, 2)
  for (let i = 1; i <= 6; i++) socket.outcome({ command_id: command(i) })
  await socket.closed.take('close')
  await settle()
  assert.match(client.status.error?.message ?? '', /more than the window/)
  // That handler never ends: closing is bounded all the same.
  const began = Date.now()
  await client.close()
  assert.ok(Date.now() - began < 30_000)
})
