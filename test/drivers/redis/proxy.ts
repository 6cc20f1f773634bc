/** A TCP proxy that can lose the answer to a request: the server carries it out and its client never hears of it. */

import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { atEnd, type Ending } from './ending.ts'

export class Proxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #losing: string | undefined
  /** How many answers were lost. */
  lost = 0

  private constructor(server: Server) {
    this.#server = server
  }

  /** Forwards to a port of this machine. */
  static async to(test: Ending, port: number): Promise<Proxy> {
    const server = createServer()
    const proxy = new Proxy(server)
    atEnd(test, () => {
      proxy.cut()
      server.close()
    })
    server.on('connection', (client) => {
      proxy.#forward(client, connect(port, '127.0.0.1'))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return proxy
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Cuts the connection instead of passing on the answer to the next request that contains the text. */
  loseAnswerTo(text: string): void {
    this.#losing = text
  }

  /** Cuts all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
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
      if (this.#losing !== undefined && request.includes(this.#losing)) {
        lose = true
        this.#losing = undefined
      }
      server.write(request)
    })
    server.on('data', (answer) => {
      if (!lose) {
        client.write(answer)
        return
      }
      this.lost++
      client.destroy()
    })
  }
}
