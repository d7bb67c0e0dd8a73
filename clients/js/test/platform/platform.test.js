import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InDoubtError, RefusedError, resultOf } from '../../src/index.js'
import { api, client, kill, makeKey, proxy, reaches, start, tenant } from './site.js'

test('a command is sent, executed, and its outcome comes back', async (t) => {
  const { token } = await tenant(t)
  const c = client(t, token)
  assert.deepEqual(resultOf(await c.send('lamp-1', 'echo', { on: true })), { on: true })
  // Posted again, one id is one command.
  const [first, again] = [await c.send('lamp-1', 'echo', { n: 1 }, { id: 'c-1' }), await c.send('lamp-1', 'echo', { n: 1 }, { id: 'c-1' })]
  assert.deepEqual(again.response, first.response)
  const other = await c.send('lamp-1', 'echo', { n: 2 }, { id: 'c-1' })
  assert.throws(() => resultOf(other), { reason: 'duplicate_id', executed: 'no' })
  await assert.rejects(c.send('lamp-9', 'echo'), (error) => error instanceof RefusedError && error.problem.code === 'unknown_device')
})

test('an outcome of a client that was away waits in the mailbox', async (t) => {
  const { token, hold } = await tenant(t)
  const away = client(t, token)
  await reaches(away, 'online')
  const release = hold() // until the client is gone, however long that takes
  const { command_id } = await away.post('lamp-1', 'echo')
  await away.close()
  release()
  const back = client(t, token)
  const outcome = await new Promise((resolve) => back.on('outcome', resolve))
  assert.equal(outcome.command_id, command_id)
})

test('the pusher is killed and comes back while commands are under way', async (t) => {
  const { token } = await tenant(t)
  const c = client(t, token)
  await reaches(c, 'online')
  const sent = Array.from({ length: 20 }, (_, i) => c.send('lamp-1', 'sleep', { ms: 1000 + i }))
  await new Promise((resolve) => setTimeout(resolve, 300))
  await kill('pusher')
  await reaches(c, 'recovering')
  await start('pusher')
  const outcomes = await Promise.all(sent)
  assert.deepEqual(outcomes.map(resultOf), Array.from({ length: 20 }, (_, i) => ({ ms: 1000 + i })))
  await reaches(c, 'online')
})

test('the api is away: refused, or in doubt, and never a hang', async (t) => {
  const { token } = await tenant(t)
  const c = client(t, token)
  await reaches(c, 'online')
  await kill('api')
  await assert.rejects(c.send('lamp-1', 'echo'), (error) => error instanceof RefusedError || error instanceof InDoubtError)
  await start('api')
  assert.equal(resultOf(await c.send('lamp-1', 'echo')), null)
})

test('a stalled network is noticed by its silence, and left', async (t) => {
  const { token } = await tenant(t)
  const line = await proxy(t)
  const c = client(t, token, { pushUrl: line.url })
  await reaches(c, 'online')
  line.stall()
  const sent = c.send('lamp-1', 'echo', { n: 1 })
  // Nothing is closed, so that only the pings that do not come can tell.
  await reaches(c, 'recovering')
  assert.match(c.status.error.message, /silent for too long/)
  line.heal()
  assert.deepEqual(resultOf(await sent), { n: 1 })
  assert.equal(c.status.state, 'online')
})

test('a token that ends is replaced before it does; one that is not ends the connection, and a new one is fetched', async (t) => {
  const { name } = await tenant(t)
  const fetched = { quiet: 0, prompt: 0 }
  const fetch = async (who, life) => {
    fetched[who]++
    return (await makeKey({ tenant: name, client: 'me', 'expires-in': `${life}s` })).token
  }
  const quiet = client(t, () => fetch('quiet', 9)) // the same for this one, which is told nothing of it
  // Long before its end, for a slow machine's sake: the next key is made by a program.
  const prompt = client(t, async () => ({ token: await fetch('prompt', 18), expiresAt: Date.now() + 5000 }))
  const states = []
  prompt.on('state', ({ state }) => states.push(state))
  await Promise.all([reaches(quiet, 'online'), reaches(prompt, 'online')])
  const firstEnds = Date.now() + 18_500
  await reaches(quiet, 'recovering')
  assert.equal(quiet.status.error.code, 4203)
  await reaches(quiet, 'online')
  assert.ok(fetched.quiet >= 2)
  await new Promise((resolve) => setTimeout(resolve, firstEnds - Date.now()))
  assert.deepEqual(states, ['online'])
  assert.ok(fetched.prompt >= 2)
})

test('a refused key and a revoked one end the client', async (t) => {
  const { token, key } = await tenant(t)
  const wrong = client(t, 'cup_wrong')
  assert.equal((await wrong.closed).code, 4001)
  const c = client(t, token)
  await reaches(c, 'online')
  const answer = await fetch(`${api}/v1/keys/${key}`, { method: 'DELETE', headers: { Authorization: `Bearer ${token}` } })
  assert.equal(answer.status, 204)
  assert.equal((await c.closed).code, 4004)
  await assert.rejects(c.send('lamp-1', 'echo'), RefusedError)
})

/** Returns once the platform has noted every ack of the client; nothing tells of that but asking. */
async function emptied(token) {
  for (const deadline = Date.now() + 60_000; ;) {
    const answer = await fetch(`${api}/v1/mailbox?limit=1`, { headers: { Authorization: `Bearer ${token}` } })
    assert.equal(answer.status, 200)
    const { waiting } = await answer.json()
    if (waiting === 0) return
    assert.ok(Date.now() < deadline, `${waiting} outcomes still wait in the mailbox`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

// 10,000 in the long form; what the platform takes for them depends on the machine, minutes on a small one.
const many = Number(process.env.CUPLINE_TEST_OUTCOMES ?? 500)

test(`${many} outcomes, a killed pusher, lost and stalled lines, keys that end: each handler call happens once`, async (t) => {
  const devices = 50
  const { name, token, executions } = await tenant(t, devices)
  const line = await proxy(t)
  let keys = 0
  // None says when it ends: the platform does, on the socket and in answers to POSTs.
  const brief = async () => {
    keys++
    return (await makeKey({ tenant: name, client: 'me', 'expires-in': '20s' })).token
  }
  const c = client(t, brief, { pushUrl: line.url, timeout: 60_000 })
  let lost = 0
  c.on('state', ({ state }) => { if (state === 'recovering') lost++ })
  const calls = new Map()
  const wrong = []
  const all = new Promise((resolve) => {
    c.on('outcome', async (outcome) => {
      calls.set(outcome.id, (calls.get(outcome.id) ?? 0) + 1)
      if (outcome.response.result?.id !== outcome.id) wrong.push(outcome)
      if (calls.size === many) resolve()
    })
  })
  await reaches(c, 'online')
  const began = performance.now()
  let next = 0
  const send = async () => {
    while (next < many) {
      const id = next++
      await c.post(`lamp-${id % devices + 1}`, 'echo', { id }, { id, ttl: '5m' })
      if (id === many / 5 || id === many / 2) line.cut()
      if (id === many * 3 / 4) {
        line.stall()
        line.heal() // for those that are dialled from now on
      }
      if (id === many / 4) {
        await kill('pusher')
        await start('pusher')
      }
    }
  }
  await Promise.all(Array.from({ length: 32 }, send))
  const posted = performance.now()
  await all
  t.diagnostic(`${many} commands posted in ${Math.round(posted - began)} ms, all outcomes handled after ${Math.round(performance.now() - began)} ms, with ${lost} lost connections and ${keys} keys`)
  assert.ok(lost >= 1, 'nothing was lost') // a cut that comes while it connects anew loses nothing more
  assert.deepEqual(wrong, [])
  // Acks that were lost with a line have their outcomes come once more; the client drops and acks those. The pusher notes acks
  // in batches, behind the socket.
  await emptied(token)
  await c.close()
  // What was not acked would come to the next client: nothing may.
  const late = client(t, token)
  const copies = []
  late.on('outcome', ({ id }) => { copies.push(id) })
  await reaches(late, 'online')
  assert.equal(late.status.waiting, 0)
  assert.deepEqual(resultOf(await late.send('lamp-1', 'echo', { last: 1 })), { last: 1 })
  assert.deepEqual(copies, [])
  assert.deepEqual([...calls.values()].filter((n) => n !== 1), [])
  assert.equal(executions.size, many + 1)
  assert.deepEqual([...executions.values()].filter((n) => n !== 1), [])
})
