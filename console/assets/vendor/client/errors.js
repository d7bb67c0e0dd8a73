/** @import {Problem, Response} from './schema.js' */

/** Every error of this package. */
export class CuplineError extends Error {
  /**
   * @param {string} message
   * @param {ErrorOptions} [options]
   */
  constructor(message, options) {
    super(message, options)
    this.name = new.target.name
  }
}

/**
 * What became of a request that did not succeed, where the platform said so.
 * @typedef {object} Trace
 * @property {string | number | null} [id] the client's own id
 * @property {string} [commandId] the platform's, where it had made one
 * @property {Problem} [problem] the platform's answer
 * @property {number} [retryAfter] ms to wait at least before trying again
 * @property {unknown} [cause]
 */

/** A command that was not accepted for certain; see its two kinds. */
class SendError extends CuplineError {
  /**
   * @param {string} message
   * @param {Trace} [trace]
   */
  constructor(message, trace = {}) {
    super(message, 'cause' in trace ? { cause: trace.cause } : undefined)
    this.id = trace.id ?? null
    this.commandId = trace.commandId
    this.problem = trace.problem
    this.retryAfter = trace.retryAfter ?? 0
  }
}

/** Nothing was accepted, so nothing is executed. Sending again is safe. */
export class RefusedError extends SendError {}

/**
 * The platform may have accepted the command, and nobody can say. Sending the same device, method and params with
 * the same `id` again is safe: one id is executed once. Not for one-way commands, which have none.
 */
export class InDoubtError extends SendError {}

/** The command was accepted, and its outcome did not come before the caller stopped waiting: it goes to `outcome`. */
export class NotWaitedError extends CuplineError {
  /**
   * @param {string} message
   * @param {{id: string | number | null, commandId?: string, cause?: unknown}} trace
   */
  constructor(message, trace) {
    super(message, { cause: trace.cause })
    this.id = trace.id
    this.commandId = trace.commandId
  }
}

/** The device's own JSON-RPC error: it was asked, and said no. */
export class DeviceError extends CuplineError {
  /** @param {NonNullable<Response['error']>} error */
  constructor(error) {
    super(`the device answered error ${error.code}: ${error.message}`)
    this.code = error.code
    this.data = error.data
  }
}

/** There is no answer of the device; `executed` tells whether it may have executed the command all the same. */
export class PlatformError extends CuplineError {
  /** @param {NonNullable<Response['error']>} error */
  constructor(error) {
    const data = /** @type {Record<string, unknown>} */ (
      typeof error.data === 'object' && error.data !== null ? error.data : {})
    // Without its data the worst has to be taken for true.
    const executed = data.executed === 'no' ? 'no' : 'maybe'
    super(`${error.message}; it ${executed === 'no' ? 'was not' : 'may have been'} executed`)
    this.code = error.code
    this.reason = text(data.reason)
    /** `no`: sending again with a new id is safe. @type {'no' | 'maybe'} */
    this.executed = executed
    this.commandId = text(data.command_id)
    this.device = text(data.device)
    this.detail = text(data.detail)
    /** With `duplicate_id`: the command that has the id, and its state. */
    this.firstCommandId = text(data.first_command_id)
    this.firstState = text(data.first_state)
  }
}

/** The connection ended, by the platform's close code or by itself. */
export class ConnectionError extends CuplineError {
  /**
   * @param {string} message
   * @param {{code?: number, cause?: unknown}} [why]
   */
  constructor(message, why = {}) {
    super(message, 'cause' in why ? { cause: why.cause } : undefined)
    /** The WebSocket close code; 0 where there was none. */
    this.code = why.code ?? 0
  }
}

/** @param {unknown} value */
function text(value) {
  return typeof value === 'string' ? value : ''
}

/**
 * The device's result. Throws a {@link DeviceError} or a {@link PlatformError} where the outcome is one.
 * @param {{origin: string, response: Response}} outcome
 */
export function resultOf(outcome) {
  const error = outcome.response.error
  if (error === undefined || error === null) return outcome.response.result
  throw outcome.origin === 'platform' ? new PlatformError(error) : new DeviceError(error)
}
