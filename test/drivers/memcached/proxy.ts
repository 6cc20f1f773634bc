/** A TCP proxy that cuts, delays or dices what passes through it. */

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { atEnd, type Ending } from '../redis/ending.ts'

export class Proxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #losing: string | undefined
  #cutAfter: number | undefined
  #dice: number | undefined
  /** How many answers were lost. */
  lost = 0
  /** How many connections there were. */
  connections = 0

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
      proxy.connections++
      proxy.#forward(client, connect(port, '127.0.0.1'))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return proxy
  }

  get name(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Cuts the connection instead of passing on the answer to the next request that contains the text. */
  loseAnswerTo(text: string): void {
    this.#losing = text
  }

  /** Cuts the connection once so many more bytes of answers have passed. */
  cutAfter(bytes: number): void {
    this.#cutAfter = bytes
  }

  /** Passes answers on in pieces of so many bytes, each in a packet of its own. */
  dice(bytes: number): void {
    this.#dice = bytes
  }

  /** Cuts all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #forward(client: Socket, server: Socket): void {
    let lose = false
    client.setNoDelay(true)
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
    server.on('data', (answer: Buffer) => {
      if (lose) {
        this.lost++
        client.destroy()
      } else void this.#pass(client, answer)
    })
  }

  #passing: Promise<void> = Promise.resolve()

  #pass(client: Socket, answer: Buffer): Promise<void> {
    this.#passing = this.#passing.then(async () => {
      const allowed = this.#cutAfter === undefined ? answer : answer.subarray(0, this.#cutAfter)
      const size = this.#dice ?? allowed.length
      for (let i = 0; i < allowed.length; i += size) {
        client.write(allowed.subarray(i, i + size))
        if (this.#dice) await new Promise((resolve) => setImmediate(resolve))
      }
      if (this.#cutAfter === undefined) return
      this.#cutAfter -= allowed.length
      if (this.#cutAfter > 0) return
      this.#cutAfter = undefined
      this.lost++
      client.end(() => client.destroy())
    })
    return this.#passing
  }
}
