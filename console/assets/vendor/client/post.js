import { InDoubtError, RefusedError } from './errors.js'
/** @import {Accepted, Problem} from './schema.js' */
/** @import {Tokens} from './token.js' */

/** How much of an error's text is shown. */
const EXCERPT = 200

/** Errors of the operating system that mean that no connection was made, as Node names them. */
const NOT_CONNECTED = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'ENETUNREACH', 'EHOSTUNREACH', 'UND_ERR_CONNECT_TIMEOUT'])

/**
 * One POST of a command. It is sent once; only what was refused for its token is sent again, with another token.
 * @param {{url: string, tokens: Tokens, timeout: number, fetch: typeof fetch}} way
 * @param {{id: string | number | null, device: string, body: string, ttl?: string, signal?: AbortSignal}} command
 * @returns {Promise<Accepted>}
 */
export async function post(way, command) {
  const token = await way.tokens.get().catch((cause) => {
    throw new RefusedError(`no token to send with: ${cause.message}`, { id: command.id, cause })
  })
  try {
    return await attempt(way, command, token)
  } catch (error) {
    if (!(error instanceof RefusedError) || error.problem?.status !== 401 || !way.tokens.renewable) throw error
    const other = await way.tokens.fetch().catch(() => token)
    if (other === token) throw error
    return attempt(way, command, other)
  }
}

/**
 * @param {Parameters<typeof post>[0]} way
 * @param {Parameters<typeof post>[1]} command
 * @param {string} token
 */
async function attempt(way, command, token) {
  const { id } = command
  if (globalThis.navigator?.onLine === false) throw new RefusedError('not sent: this machine is offline', { id })
  const limit = new AbortController()
  const abort = () => limit.abort(command.signal?.reason)
  const timer = setTimeout(() => limit.abort(new Error(`no answer within ${way.timeout} ms`)), way.timeout)
  if (command.signal?.aborted) abort()
  command.signal?.addEventListener('abort', abort)
  try {
    return await exchange(way, command, token, limit.signal)
  } finally {
    clearTimeout(timer)
    command.signal?.removeEventListener('abort', abort)
  }
}

/**
 * @param {Parameters<typeof post>[0]} way
 * @param {Parameters<typeof post>[1]} command
 * @param {string} token
 * @param {AbortSignal} signal
 */
async function exchange(way, command, token, signal) {
  const { id } = command
  /** @type {Response} */
  let answer
  try {
    answer = await way.fetch(`${way.url}/v1/devices/${encodeURIComponent(command.device)}/commands`, {
      method: 'POST', body: command.body, redirect: 'manual', signal,
      headers: {
        Authorization: `Bearer ${token}`, 'Content-Type': 'application/json', ...(command.ttl ? { 'Cupline-TTL': command.ttl } : {}),
      },
    })
  } catch (cause) {
    if (NOT_CONNECTED.has(systemCode(cause))) throw new RefusedError('the platform cannot be reached', { id, cause })
    throw new InDoubtError('no answer to the command: it may have been accepted', { id, cause })
  }
  if (!answer.ok) throw await problemOf(answer, id)
  try {
    return /** @type {Accepted} */ (await answer.json())
  } catch (cause) {
    throw new InDoubtError('the answer to the command cannot be read: it may have been accepted', { id, cause })
  }
}

/** @param {unknown} error */
function systemCode(error) {
  const cause = error instanceof Error ? error.cause : undefined
  return cause instanceof Error && 'code' in cause ? String(cause.code) : ''
}

/**
 * @param {Response} answer
 * @param {string | number | null} id
 */
async function problemOf(answer, id) {
  // An answer cut short still has its status, which says what counts.
  const body = await answer.text().catch(() => '')
  const problem = answer.headers.get('Content-Type')?.startsWith('application/problem+json') ? parse(body) : undefined
  const said = problem ? [problem.title, problem.detail].filter(Boolean).join(': ') : body.trim().slice(0, EXCERPT)
  const text = `${said || 'no reason given'} (${[answer.status, problem?.code].filter(Boolean).join(' ')})`
  const trace = { id, commandId: problem?.command_id, problem, retryAfter: retryAfter(answer.headers.get('Retry-After')) }
  return inDoubt(answer.status, problem !== undefined) ? new InDoubtError(text, trace) : new RefusedError(text, trace)
}

/**
 * A 504 says so itself. Any other answer of the platform is a refusal; one of a proxy in between tells nothing about
 * what the platform did, unless it blames the request.
 * @param {number} status
 * @param {boolean} said by the platform itself
 */
function inDoubt(status, said) {
  return status === 504 || status === 500 || (!said && (status >= 500 || status < 400))
}

/** @param {string} body @returns {Problem | undefined} */
function parse(body) {
  try {
    const problem = JSON.parse(body)
    return typeof problem === 'object' && problem !== null ? problem : undefined
  } catch {
    return undefined
  }
}

/** In ms, from either form of the header. @param {string | null} header */
function retryAfter(header) {
  if (!header) return 0
  const seconds = Number(header)
  const wait = Number.isNaN(seconds) ? Date.parse(header) - Date.now() : seconds * 1000
  return wait > 0 ? wait : 0
}
