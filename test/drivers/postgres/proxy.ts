/** A TCP proxy that can lose the answer to a request, or go silent without closing anything. */

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { atEnd, type Ending } from '../redis/ending.ts'

export class Proxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #target: URL
  #losing: string | undefined
  #isSilent = false
  /** How many answers were lost. */
  lost = 0

  private constructor(server: Server, target: URL) {
    this.#server = server
    this.#target = target
  }

  /** Forwards to the server of a URL. */
  static async to(test: Ending, url: string): Promise<Proxy> {
    const server = createServer()
    const target = new URL(url)
    const proxy = new Proxy(server, target)
    atEnd(test, () => {
      proxy.cut()
      server.close()
    })
    server.on('connection', (client) => {
      proxy.#forward(client, connect(Number(target.port), target.hostname))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return proxy
  }

  get url(): string {
    const url = new URL(this.#target)
    url.hostname = '127.0.0.1'
    url.port = String((this.#server.address() as AddressInfo).port)
    return url.href
  }

  /** Cuts the connection instead of passing on the answer to the next request that contains the text. */
  loseAnswerTo(text: string): void {
    this.#losing = text
  }

  /** Cuts all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Passes nothing on any more, in either direction, as when a cable is pulled. */
  set silent(value: boolean) {
    this.#isSilent = value
  }

  #forward(client: Socket, server: Socket): void {
    let lose = false
    for (const socket of [client, server]) {
      this.#sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        client.destroy()
        server.destroy()
      })
    }
    client.on('data', (request) => {
      if (this.#isSilent) return
      if (this.#losing !== undefined && contains(request, this.#losing)) {
        lose = true
        this.#losing = undefined
      }
      server.write(request)
    })
    server.on('data', (answer) => {
      if (this.#isSilent) return
      if (!lose) {
        client.write(answer)
        return
      }
      this.lost++
      client.destroy()
    })
  }
}

/** Some clients send bytes as they are, others in hexadecimal. */
function contains(request: Buffer, text: string): boolean {
  return request.includes(text) || request.includes(Buffer.from(text).toString('hex'))
}
