// Measures the client in one Chromium tab that is fed 5,000 outcomes a second for 10 s, and paints each: how many arrive, and
// the longest time between two frames, in the first second and after it. `npm run bench:browser`; it exits with 1 when they take
// a tenth longer than that to arrive, or when two frames after the first second are more than 100 ms apart.
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { chromium } from 'playwright-core'
import { WebSocketServer } from 'ws'

const [RATE, SECONDS, FRAME] = [5_000, 10, 100]
const root = new URL('../', import.meta.url)

const page = `<!doctype html><output></output><script type="module">
  import { connect } from '/src/index.js'
  const output = document.querySelector('output')
  let [handled, began, last, first, longest] = [0, 0, 0, 0, 0]
  const begin = () => connect({ url: location.origin, pushUrl: location.origin, token: 'cup_1' }).on('outcome', ({ device, response }) => {
    output.textContent = device + JSON.stringify(response.result)
    handled++
  })
  const frame = (now) => {
    // The first second has the page's start, and code that has not been compiled yet.
    if (now - began < 1000) first = Math.max(first, now - last)
    else longest = Math.max(longest, now - last)
    last = now
    globalThis.result = { handled, first, longest }
    requestAnimationFrame(frame)
  }
  // Frames are counted from the page's first one on; how long a browser takes for that is not the client's.
  requestAnimationFrame((now) => {
    began = last = now
    requestAnimationFrame(frame)
    begin()
  })
</script>`

const server = createServer(async (request, response) => {
  const file = request.url.startsWith('/src/') ? await readFile(new URL(request.url.slice(1), root)) : page
  response.setHeader('Content-Type', file === page ? 'text/html' : 'text/javascript')
  response.end(file)
})
const sockets = new WebSocketServer({ server, handleProtocols: (all) => [...all][0] })
let [sent, acked] = [0, 0]
sockets.on('connection', (socket) => {
  let began
  const fill = () => {
    const due = Math.min(RATE * SECONDS, (performance.now() - began) / 1000 * RATE)
    const lines = []
    for (; sent < due && sent - acked < 64; sent++) {
      const id = `c-${sent}`
      lines.push(JSON.stringify({
        type: 'outcome', seq: sent + 1, id, command_id: `01908c3e-7d2a-7000-8000-${String(sent).padStart(12, '0')}`, redrive: 0,
        device: 'lamp-1', method: 'relay.set', at: '2026-03-01T12:00:00.25Z', origin: 'device', source: 'live',
        response: { jsonrpc: '2.0', id, result: { on: true } },
      }))
    }
    // What is due at once goes in one message, as the pusher sends it.
    if (lines.length > 0) socket.send(lines.join('\n'))
  }
  socket.on('message', (data) => {
    const frame = JSON.parse(String(data))
    if (frame.type === 'ack') acked = frame.seq
    if (frame.type === 'hello') {
      socket.send(JSON.stringify({ type: 'welcome', session: 's', client: 'me', window: 64, ping: 25, waiting: 0, missed: 0, reconnect: 60 }))
      began = performance.now()
      const timer = setInterval(fill, 1)
      socket.on('close', () => clearInterval(timer))
    } else fill()
  })
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
})
const tab = await browser.newPage()
const began = performance.now()
await tab.goto(`http://127.0.0.1:${server.address().port}/`)
await tab.waitForFunction((all) => globalThis.result?.handled === all, RATE * SECONDS, { timeout: 120_000 })
const { handled, first, longest } = await tab.evaluate(() => globalThis.result)
const seconds = (performance.now() - began) / 1000
console.log(`${handled} outcomes in ${seconds.toFixed(1)} s (${Math.round(handled / seconds)}/s, asked ${RATE}/s); longest time between frames ${Math.round(first)} ms in the first second, ${Math.round(longest)} ms after it`)
await browser.close()
server.close()
server.closeAllConnections()
if (seconds > SECONDS * 1.1 || longest > FRAME) {
  console.error(`that is not ${RATE} outcomes a second with frames at most ${FRAME} ms apart`)
  process.exitCode = 1
}
