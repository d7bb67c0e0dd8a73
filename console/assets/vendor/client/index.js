export { Client, connect } from './client.js'
export {
  ConnectionError, CuplineError, DeviceError, InDoubtError, NotWaitedError, PlatformError, RefusedError, resultOf,
} from './errors.js'
export { CLOSE_CODES, SUBPROTOCOL } from './schema.js'
/** @typedef {import('./settings.js').Settings} Settings */
/** @typedef {import('./client.js').SendOptions} SendOptions */
/** @typedef {import('./client.js').Lag} Lag */
/** @typedef {import('./schema.js').OutcomeFrame} Outcome */
/** @typedef {import('./schema.js').Accepted} Accepted */
/** @typedef {import('./schema.js').Problem} Problem */
/** @typedef {import('./schema.js').Reason} Reason */
/** @typedef {import('./status.js').State} State */
/** @typedef {import('./status.js').Status} Status */
/** @typedef {import('./token.js').Token} Token */
/** @typedef {import('./token.js').TokenSource} TokenSource */
