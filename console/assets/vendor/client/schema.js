// Made by `npm run generate` from schema/asyncapi.yaml, schema/openapi.yaml and schema/push. Do not edit.


/** The name that both sides of a WebSocket agree on. */
export const SUBPROTOCOL = 'cupline.v1.json'

/** The close codes; their hundred tells what to do. */
export const CLOSE_CODES = /** @type {const} */ ({
  badFrame: 4000,
  badToken: 4001,
  forbidden: 4002,
  noHello: 4003,
  revoked: 4004,
  internal: 4100,
  overloaded: 4101,
  rateLimited: 4102,
  brokerAway: 4103,
  tooManyConnections: 4104,
  drained: 4200,
  noPong: 4201,
  ackTimeout: 4202,
  tokenExpired: 4203,
})

/** @typedef {{jsonrpc: '2.0', id: string | number | null, result?: unknown, error?: {code: number, message: string, data?: unknown}}} Response */

/** @typedef {'expired' | 'device_offline' | 'no_answer' | 'worker_lost' | 'bad_answer' | 'undeliverable' | 'duplicate_id' | 'discarded' | 'device_busy' | 'unrecordable'} Reason */

/** First frame, due within 10 s.
 * @typedef {{type: 'hello', token?: string, session?: string, window?: number}} HelloFrame */

/** Everything up to and including seq was received.
 * @typedef {{type: 'ack', seq: number}} AckFrame */

/** A fresh token, before the old one expires.
 * @typedef {{type: 'auth', token: string}} AuthFrame */

/** @typedef {{type: 'pong'}} PongFrame */

/** Logged out, unbind now.
 * @typedef {{type: 'bye'}} ByeFrame */

/** Events of a device, by a pattern of names.
 * @typedef {{type: 'subscribe', device: string, event: string}} SubscribeFrame */

/** @typedef {{type: 'unsubscribe', device: string, event: string}} UnsubscribeFrame */

/** The client is bound; from here on outcomes come.
 * @typedef {{type: 'welcome', session: string, client: string, window: number, ping: number, waiting: number, missed: number, reconnect: number}} WelcomeFrame */

/** The one terminal outcome of a command.
 * @typedef {{type: 'outcome', seq?: number, id: string | number | null, command_id: string, redrive: number, device: string, method: string, at: string, origin: 'device' | 'platform', source: 'live' | 'mailbox', response: Response}} OutcomeFrame */

/** What a device said by itself. Live only.
 * @typedef {{type: 'event', device: string, name: string, at: string, payload: unknown}} EventFrame */

/** Outcomes go to the mailbox first (on), or have caught up (off).
 * @typedef {{type: 'lag', on: boolean, waiting: number}} LagFrame */

/** @typedef {{type: 'ping'}} PingFrame */

/** Connect anew in so many milliseconds; each client gets its own moment. Then this socket closes.
 * @typedef {{type: 'drain', in: number}} DrainFrame */

/** A problem that does not close the socket by itself.
 * @typedef {{type: 'error', code: string, message: string, temporary: boolean}} ErrorFrame */

/** What a client sends.
 * @typedef {HelloFrame | AckFrame | AuthFrame | SubscribeFrame | UnsubscribeFrame | PongFrame | ByeFrame} ClientFrame */

/** What the platform sends.
 * @typedef {WelcomeFrame | OutcomeFrame | EventFrame | LagFrame | PingFrame | DrainFrame | ErrorFrame} ServerFrame */

/** @typedef {{id: string | null | number, command_id: string, expires_at: string}} Accepted */

/** @typedef {{state: 'accepted' | 'refused' | 'in_doubt', id: string | null | number, command_id?: string, expires_at?: string, problem?: Problem}} Item */

/** RFC 9457, with members of its own.
 * @typedef {{type: string, title: string, status: number, code: 'malformed' | 'invalid_request' | 'invalid_parameter' | 'unauthorized' | 'forbidden' | 'not_found' | 'unknown_device' | 'unknown_type' | 'unknown_lane' | 'unknown_key' | 'unknown_command' | 'unknown_tenant' | 'key_ended' | 'other_reach' | 'unknown_credential' | 'too_many_credentials' | 'method_not_allowed' | 'in_use' | 'too_large' | 'unsupported_media_type' | 'invalid_params' | 'invalid_description' | 'not_idempotent' | 'mailbox_full' | 'internal' | 'lane_unavailable' | 'queue_full' | 'broker_unavailable' | 'broker_blocked' | 'database_unavailable' | 'overloaded' | 'in_doubt' | 'unknown_letter' | 'letter_state' | 'may_have_executed' | 'device_gone' | 'not_redrivable' | 'unknown_job' | 'job_state' | 'letter_held' | 'unknown_group' | 'assigned' | 'pause_state' | 'unknown_drain' | 'drain_state' | 'command_state', detail?: string, id?: string | null | number, command_id?: string, field?: string, offset?: number, index?: number, problems?: Array<string>, items?: Array<Item>}} Problem */
