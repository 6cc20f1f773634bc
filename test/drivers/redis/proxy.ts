/**
 * A TCP proxy that can lose the answer to a request (the server carries it out and its client never hears of it), be
 * away, or go silent: connections stand, and nothing comes through them.
 */

import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { atEnd, type Ending } from './ending.ts'

export class Proxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #losing: string | undefined
  #meanwhile: () => Promise<void> = () => Promise.resolve()
  #away = false
  #silent = false
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
      if (proxy.#away) client.destroy()
      else proxy.#forward(client, connect(port, '127.0.0.1'))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return proxy
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /**
   * Cuts the connection instead of passing on the answer to the next request that contains the text.
   *
   * @param meanwhile What happens after the request was carried out and before the connection is cut.
   */
  loseAnswerTo(text: string, meanwhile: () => Promise<void> = () => Promise.resolve()): void {
    this.#losing = text
    this.#meanwhile = meanwhile
  }

  /** Takes {@link loseAnswerTo} back. */
  loseNothing(): void {
    this.#losing = undefined
  }

  /** Is away: cuts all connections, and lets none come about. */
  leave(): void {
    this.#away = true
    this.cut()
  }

  comeBack(): void {
    this.#away = false
  }

  /** Is not even there: cuts all connections, and attempts are refused. The answer has it come back. */
  vanish(): () => Promise<void> {
    const { port } = this.#server.address() as AddressInfo
    this.#server.close()
    this.cut()
    return async () => {
      this.#server.listen(port, '127.0.0.1')
      await once(this.#server, 'listening')
    }
  }

  /** Swallows every byte from now on, also of new connections, and keeps them all open. */
  goSilent(): void {
    this.#silent = true
  }

  /** New connections work again; those that went silent stay so. */
  speakAgain(): void {
    this.#silent = false
  }

  /** Cuts all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #forward(client: Socket, server: Socket): void {
    let lose = false
    let deaf = this.#silent
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
      deaf ||= this.#silent
      if (deaf) return
      if (this.#losing !== undefined && request.includes(this.#losing)) {
        lose = true
        this.#losing = undefined
      }
      server.write(request)
    })
    server.on('data', (answer) => {
      deaf ||= this.#silent
      if (deaf) return
      if (!lose) {
        client.write(answer)
        return
      }
      this.lost++
      void this.#meanwhile().finally(() => client.destroy())
    })
  }
}
