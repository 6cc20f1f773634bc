/** A program for Bun: behind the door, its own server makes a request a WebSocket. Says what that was told. */

import { memoryStore } from '../../packages/holdfast/src/drivers/memory.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import { fetchSessions } from '../../packages/holdfast/src/web/fetch.ts'

interface BunServer {
  readonly port: number
  upgrade(request: Request, options: { readonly data: { readonly user: string } }): boolean
}

interface BunLike {
  serve(options: {
    readonly port: number
    readonly fetch: (request: Request, server: BunServer) => Promise<Response | undefined>
    readonly websocket: {
      open(socket: { readonly data: { readonly user: string }; send(text: string): void }): void
      message(): void
    }
  }): BunServer
}

const { Bun } = globalThis as unknown as { readonly Bun: BunLike }
const sessions = new Sessions(memoryStore())
const withSession = fetchSessions(sessions)
const { port } = Bun.serve({
  port: 0,
  fetch: withSession((request, session, server: BunServer) => {
    const { user } = session
    if (user !== undefined && server.upgrade(request, { data: { user } })) return undefined
    return new Response('log in first', { status: 401 })
  }),
  websocket: {
    open: (socket) => {
      socket.send(`welcome ${socket.data.user}`)
    },
    message: () => undefined,
  },
})

const { credential = '' } = await sessions.start({ user: 'ada' })
// Bun's own can be given headers.
const options = { headers: { cookie: `__Host-session=${credential}` } } as unknown as string[]
const socket = new WebSocket(`ws://127.0.0.1:${String(port)}`, options)
socket.onmessage = ({ data }: MessageEvent<string>) => {
  process.stdout.write(data, () => process.exit())
}
socket.onerror = () => process.exit(1)
