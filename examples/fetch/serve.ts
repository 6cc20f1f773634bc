/** Serves a handler of web-standard requests by whatever runs this: Node.js, Bun or Deno. */

type Handler = (request: Request) => Promise<Response>

/** A server that listens on this machine only. */
export interface Serving {
  readonly port: number
  readonly close: () => Promise<void>
}

interface Bun {
  serve(options: object): { readonly port: number; stop(): Promise<void> }
}

interface Deno {
  serve(
    options: object,
    handler: Handler,
  ): { readonly addr: { readonly port: number }; shutdown(): Promise<void> }
}

const hostname = '127.0.0.1'

export async function serve(fetch: Handler, port: number): Promise<Serving> {
  const runtime = globalThis as { readonly Bun?: Bun; readonly Deno?: Deno }
  if (runtime.Bun) {
    const server = runtime.Bun.serve({ fetch, hostname, port })
    return { port: server.port, close: () => server.stop() }
  }
  if (runtime.Deno) {
    const server = runtime.Deno.serve({ hostname, port, onListen: () => undefined }, fetch)
    return { port: server.addr.port, close: () => server.shutdown() }
  }
  const { serve: serveNode } = await import('@hono/node-server')
  return await new Promise((resolve) => {
    const server = serveNode({ fetch, hostname, port }, (info) => {
      const close = (): Promise<void> => new Promise((closed) => server.close(() => closed()))
      resolve({ port: info.port, close })
    })
  })
}
