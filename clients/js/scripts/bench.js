// Measures how many outcomes a second the client takes from a WebSocket server on this machine: `npm run bench`.
// The server keeps to the window, as the platform does: what it may send depends on the acks.
import { once } from 'node:events'
import { Worker, isMainThread, parentPort } from 'node:worker_threads'
import WebSocket, { WebSocketServer } from 'ws'
import { connect } from '../src/index.js'

const MANY = 200_000

if (isMainThread) {
  const server = new Worker(new URL(import.meta.url))
  const [port] = await once(server, 'message')
  const client = connect({ url: 'http://127.0.0.1', pushUrl: `ws://127.0.0.1:${port}`, token: 'cup_1', WebSocket })
  let handled = 0
  let began = 0
  const cpu = process.cpuUsage()
  await new Promise((resolve) => {
    client.on('outcome', async () => {
      if (handled === 0) began = performance.now()
      if (++handled === MANY) resolve()
    })
  })
  const seconds = (performance.now() - began) / 1000
  const { user, system } = process.cpuUsage(cpu)
  await client.close()
  await server.terminate()
  console.log(`${MANY} outcomes in ${seconds.toFixed(2)} s: ${Math.round(MANY / seconds)}/s, ` +
    `${((user + system) / MANY).toFixed(1)} us of CPU for each, the server's included`)
} else {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: (all) => [...all][0] })
  server.on('connection', (socket) => {
    let [sent, window] = [0, 0]
    const fill = (acked) => {
      const lines = []
      for (; sent < MANY && sent - acked < window; sent++) {
        const id = `c-${sent}`
        lines.push(JSON.stringify({
          type: 'outcome', seq: sent + 1, id, command_id: `01908c3e-7d2a-7000-8000-${String(sent).padStart(12, '0')}`, redrive: 0,
          device: 'lamp-1', method: 'relay.set', at: '2026-03-01T12:00:00.25Z', origin: 'device', source: 'live',
          response: { jsonrpc: '2.0', id, result: { on: true } },
        }))
      }
      for (const line of lines) socket.send(line)
    }
    socket.on('message', (data) => {
      for (const frame of String(data).split('\n').map((line) => JSON.parse(line))) {
        if (frame.type === 'ack') fill(frame.seq)
        if (frame.type !== 'hello') continue
        window = frame.window
        socket.send(JSON.stringify({ type: 'welcome', session: 's', client: 'me', window, ping: 25, waiting: 0, missed: 0, reconnect: 60 }))
        fill(0)
      }
    })
  })
  await once(server, 'listening')
  parentPort.postMessage(server.address().port)
}
