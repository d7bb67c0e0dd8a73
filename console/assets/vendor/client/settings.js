/** @import {WebSocketClass} from './session.js' */
/** @import {TokenSource} from './token.js' */

/**
 * Where the platform is, and who asks. `url`, `pushUrl` and `token` are required.
 * @typedef {object} Settings
 * @property {string} url the API's address, http:// or https://
 * @property {string} pushUrl the pusher's: ws://, wss://, http:// or https://. `/v1/connect` is added where it has no path
 * @property {TokenSource} token the API key, or a function that fetches one, called once at a time
 * @property {WebSocketClass} [WebSocket] for Node before 22: `import WebSocket from 'ws'`
 * @property {typeof fetch} [fetch]
 * @property {number} [window] how many outcomes may be unacked, 1 to 64; 64
 * @property {number} [remember] how many command ids are kept to drop outcomes that come twice; 16,384
 * @property {number} [maxCalls] how many commands may wait for their outcomes; 10,000
 * @property {number} [timeout] of a POST, in ms; 10,000
 * @property {number} [minWait] the first limit of the random wait between attempts to connect, in ms; 250
 * @property {number} [maxWait] the last one; 30,000
 */

const DEFAULTS = { window: 64, remember: 16_384, maxCalls: 10_000, timeout: 10_000, minWait: 250, maxWait: 30_000 }

/**
 * Fills in what is missing, and throws a TypeError that names every problem.
 * @param {Settings} settings
 */
export function complete(settings) {
  const all = {
    ...DEFAULTS, ...defined(settings),
    fetch: settings.fetch ?? globalThis.fetch.bind(globalThis),
    WebSocket: settings.WebSocket ?? /** @type {WebSocketClass} */ (globalThis.WebSocket),
  }
  /** @type {string[]} */
  const problems = []
  const url = address('url', settings.url, ['http:', 'https:'], problems)
  const pushUrl = address('pushUrl', settings.pushUrl, ['ws:', 'wss:', 'http:', 'https:'], problems)
  if (!settings.token) problems.push('no token')
  if (typeof all.WebSocket !== 'function') {
    problems.push("no WebSocket: Node has its own from version 22; before, pass one: import WebSocket from 'ws'; connect({ WebSocket, ... })")
  }
  for (const name of /** @type {(keyof typeof DEFAULTS)[]} */ (Object.keys(DEFAULTS))) {
    const most = name === 'window' ? 64 : 2 ** 31 - 1
    const value = all[name]
    if (!(Number.isInteger(value) && value > 0 && value <= most)) {
      problems.push(`${name} is ${value}: must be a whole number from 1 to ${most}`)
    }
  }
  if (problems.length > 0) throw new TypeError(`connect to Cupline: ${problems.join('; ')}`)
  return { ...all, url, pushUrl: socketAddress(pushUrl) }
}

/**
 * Without members that are there and undefined: they would hide the defaults.
 * @param {Settings} settings
 * @returns {Settings}
 */
function defined(settings) {
  return /** @type {Settings} */ (Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)))
}

/**
 * @param {string} name
 * @param {string} value
 * @param {string[]} protocols
 * @param {string[]} problems
 */
function address(name, value, protocols, problems) {
  const parsed = URL.canParse(value) ? new URL(value) : undefined
  if (!parsed || !protocols.includes(parsed.protocol) || parsed.search || parsed.hash) {
    problems.push(`${name} is ${value}: must begin with ${protocols.join('// or ')}// and have no query`)
    return ''
  }
  return parsed.href.replace(/\/+$/, '')
}

/** @param {string} pushUrl */
function socketAddress(pushUrl) {
  const url = new URL(pushUrl)
  if (url.pathname === '/') url.pathname = '/v1/connect'
  return url.href.replace(/^http/, 'ws')
}
