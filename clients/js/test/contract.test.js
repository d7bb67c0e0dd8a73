import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { adviceOf } from '../src/advice.js'
import { CLOSE_CODES, DeviceError, PlatformError, resultOf } from '../src/index.js'
import { scripted } from './peer.js'

const golden = async (name) => {
  const content = await readFile(new URL(`../../../schema/testdata/golden/${name}`, import.meta.url), 'utf8')
  return content.trim().split('\n').map((line) => ({ line, frame: JSON.parse(line) }))
}
const file = (name) => new URL(`../${name}`, import.meta.url)

test('src/schema.js is what the contract makes of it', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [file('scripts/generate.js').pathname, '--print'])
  assert.equal(await readFile(file('src/schema.js'), 'utf8'), stdout, 'run: npm run generate')
})

test('the example that people copy is one file of less than 150 lines', async () => {
  const page = await readFile(file('example/dashboard.html'), 'utf8')
  assert.ok(page.split('\n').length < 150, `${page.split('\n').length} lines`)
  assert.deepEqual(page.match(/(?:src|href)="[^"]*"|https?:\/\/(?!api\.example|push\.example)[^"\s]*/g), null)
})

test('the types hold', async () => {
  await promisify(execFile)(file('node_modules/.bin/tsc').pathname, ['-p', file('tsconfig.json').pathname, '--noEmit'])
    .catch((error) => assert.fail(error.stdout))
})

test('every golden frame of the server is understood', async (t) => {
  const { client, sockets } = scripted(t)
  const handled = []
  const lags = []
  client.on('outcome', (outcome) => { handled.push(outcome) })
  client.on('lag', (lag) => { lags.push(lag) })
  const socket = await sockets.take()
  await socket.open()
  const frames = await golden('push-server.jsonl')
  const outcomes = frames.filter(({ frame }) => frame.type === 'outcome')
  // The golden outcomes share one command id: the memory would drop all but the first.
  for (const [i, { frame }] of outcomes.entries()) frame.command_id = frame.command_id.slice(0, -1) + i
  for (const { frame } of frames) if (frame.type !== 'drain') socket.say(frame)
  const said = []
  while (said.at(-1)?.seq !== 9) said.push(await socket.frames.take('an ack of the last outcome'))
  assert.deepEqual(said.find(({ type }) => type === 'pong'), { type: 'pong' })
  assert.deepEqual(handled, outcomes.map(({ frame }) => frame))
  assert.deepEqual(lags, [{ on: true, waiting: 120 }, { on: false, waiting: 0 }])
  assert.equal(client.status.missed, 1)
  assert.equal(client.status.client, 'shop@1')
})

test('the client\'s own frames are golden ones', async (t) => {
  const tokens = ['cup_0123', 'cup_4567']
  const { client, sockets } = scripted(t, { token: () => tokens.shift() })
  const first = await sockets.take()
  const said = [await first.open({ session: 's-0190' })]
  said.push(first.say({ type: 'ping' }) ?? await first.frames.take('pong'))
  await client.renewToken()
  said.push(await first.frames.take('auth'))
  first.outcome({ seq: 2 ** 53 })
  said.push(await first.frames.take('ack'))
  await client.close()
  said.push(await first.frames.take('bye'))
  const lines = (await golden('push-client.jsonl')).map(({ line }) => line)
  for (const frame of said.slice(1)) assert.ok(lines.includes(JSON.stringify(frame)), JSON.stringify(frame))
  assert.deepEqual(said[0], { type: 'hello', token: 'cup_0123', window: 64 })
})

test('every golden failure tells whether the device may have executed the command', async () => {
  for (const { frame: response } of await golden('failures.jsonl')) {
    const { data } = response.error
    assert.throws(() => resultOf({ origin: 'platform', response }), (error) => {
      assert.ok(error instanceof PlatformError)
      assert.deepEqual([error.code, error.reason, error.executed, error.detail, error.firstState],
        [response.error.code, data.reason, data.executed, data.detail ?? '', data.first_state ?? ''])
      return true
    })
    assert.throws(() => resultOf({ origin: 'device', response }), DeviceError)
  }
  const bare = { jsonrpc: '2.0', id: 1, error: { code: -32010, message: 'x' } }
  assert.throws(() => resultOf({ origin: 'platform', response: bare }), { executed: 'maybe' })
})

test('close codes give their advice by their hundred', () => {
  const advice = (code) => adviceOf(code)
  assert.deepEqual(Object.values(CLOSE_CODES).filter((c) => c < 4100).map(advice), Array(5).fill('stop'))
  assert.deepEqual(Object.values(CLOSE_CODES).filter((c) => c >= 4100 && c < 4200).map(advice), Array(5).fill('back_off'))
  assert.deepEqual([4200, 4203, 4299, 4300, 1000, 1001, 1006, 1012].map(advice), Array(8).fill('resume'))
})
