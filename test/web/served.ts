/** Applications that are served for a test, through each door, on ports of their own. */

import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import type { Session } from '../../packages/holdfast/src/sessions/session.ts'
import type { Answered, Served, WebStore } from '../../packages/holdfast/src/testing/web-suite.ts'
import type { Answer } from '../../packages/holdfast/src/web/node.ts'
import { openRoom, places } from '../stores/places.ts'

/** Serves requests of Node.js. */
export async function served(listener: RequestListener): Promise<Served> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Sends what the suite's application answers. */
export function send(answer: Answer, { status, headers, body }: Answered): void {
  answer.writeHead(status, headers)
  if (typeof body === 'string') answer.end(body)
  else Readable.from(body).pipe(answer)
}

/** The same as a web-standard response. */
export function responseOf({ status, headers, body }: Answered): Response {
  if (typeof body === 'string') return new Response(body, { status, headers })
  const bytes = Readable.from(body).map((part: string) => Buffer.from(part))
  return new Response(Readable.toWeb(bytes) as unknown as ReadableStream<Uint8Array>, { status, headers })
}

/** The session that a middleware put onto a request. */
export function sessionOf(request: object): Session {
  return (request as { readonly session: Session }).session
}

/** The stores that the probes of each door are run over. */
export const probedStores: readonly WebStore[] = ['SQLite', 'PostgreSQL', 'Redis'].flatMap((name) => {
  const place = places.find((each) => each.name === name)!
  return place.skip === false ? [{ name, make: async () => await openRoom(await place.room()) }] : []
})
