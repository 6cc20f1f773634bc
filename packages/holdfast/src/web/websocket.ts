/**
 * Sessions for WebSockets: the session of an upgrade request, and a signal that is given when it ends.
 *
 * ```ts
 * const open = socketSessions(new Sessions(store))
 * server.on('upgrade', (request, socket, head) => {
 *   open(request).then(
 *     ({ session, signal }) => {
 *       if (session.user === undefined) return socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n')
 *       sockets.handleUpgrade(request, socket, head, (ws) => {
 *         const close = () => ws.close(4401, 'the session has ended')
 *         if (signal.aborted) close()
 *         else signal.addEventListener('abort', close)
 *       })
 *     },
 *     (error) => refuseUpgrade(socket, error),
 *   )
 * })
 * ```
 */

import type { IncomingMessage } from 'node:http'
import { CrossSiteRequest } from '../errors.ts'
import type { JsonObject } from '../sessions/dictionary.ts'
import type { Session } from '../sessions/session.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { Exchanges } from './exchange.ts'
import { type NodeOptions, webRequest } from './node/answering.ts'
import { checkOrigin } from './origin.ts'

export type { NodeOptions } from './node/answering.ts'

/** The session that a socket was opened with. */
export interface SocketSession<Data extends object = JsonObject> {
  /** Loaded. A socket sets no cookie: what is changed must be saved with `session.save()`. */
  readonly session: Session<Data>
  /** Aborted when the session has ended or belongs to somebody else: close the socket then. */
  readonly signal: AbortSignal
  /** Follows the session no longer. It is done by itself when the connection closes. */
  readonly stop: () => void
}

const never: SocketSession['signal'] = new AbortController().signal

/**
 * A page of any site can open a socket to yours, with your user's cookie: upgrades from other origins than your own
 * are refused unless `checkOrigin` allows them. Call it before anything else is awaited: from then on the errors of the
 * connection are taken care of. `lock` is left out of the options.
 *
 * @throws {InvalidOption} when an option can't be honoured.
 * @returns what opens the session of an upgrade request; it rejects with `CrossSiteRequest` and the store's errors.
 */
export function socketSessions<Data extends object = JsonObject>(
  sessions: Sessions<Data>,
  options: NodeOptions = {},
): (request: IncomingMessage) => Promise<SocketSession<Data>> {
  // Options are shared with the door of the pages: a socket that took the lock would keep it for as long as it is open.
  const exchanges = new Exchanges(sessions, { ...options, lock: () => undefined }, { canRotate: false })
  return async (request) => {
    const { socket } = request
    // Node.js has taken its own listener off: without one, a client that resets the connection ends the process.
    socket.on('error', () => {
      socket.destroy()
    })
    const upgrade = webRequest(request, options)
    // An upgrade is a GET, and yet it is as good as a POST.
    const written = { method: 'UPGRADE', header: (name: string) => upgrade.header(name) }
    if (exchanges.allowed) checkOrigin(written, exchanges.allowed)
    const exchange = await exchanges.open(upgrade)
    const session = await exchange.session.load()
    if (session.id === undefined) return { session, signal: never, stop: () => undefined }
    const followed = await sessions.follow(session)
    if (socket.destroyed) followed.stop()
    else socket.once('close', followed.stop)
    return { session, ...followed }
  }
}

/** The answer to an upgrade that is refused. */
export function refuseUpgrade(socket: { end(text: string): unknown }, error: unknown): void {
  const status = error instanceof CrossSiteRequest ? '403 Forbidden' : '503 Service Unavailable'
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}
