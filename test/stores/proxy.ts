/**
 * A TCP proxy between a store and its server, in any protocol: it can refuse, cut, keep answers back, lose the answer
 * to a request, and cut a connection in the middle of a request.
 */

import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { Place, Room } from './places.ts'

/** What happens when a request comes by that holds a text; the empty one is in each. */
interface Ambush {
  readonly text: string
  /** `answer`: the server gets it, and its answer is lost. `request`: it gets no more than half of it. */
  readonly losing: 'answer' | 'request'
  /** How many such requests are let through before. */
  skip: number
}

export class Proxy {
  readonly #host: string
  readonly #port: number
  #server: Server | undefined
  #listening = 0
  readonly #pairs = new Set<Pair>()
  #ambush: Ambush | undefined
  /** Milliseconds that answers are kept back. */
  #lateness = 0
  #hangsUp = false
  /** How many connections were cut. */
  cuts = 0
  /** How many clients have connected. */
  connections = 0
  /** How many ambushes have struck. */
  struck = 0

  private constructor(host: string, port: number) {
    this.#host = host
    this.#port = port
  }

  /** Starts one in front of a server. */
  static async before(host: string, port: number): Promise<Proxy> {
    const proxy = new Proxy(host, port)
    await proxy.accept()
    return proxy
  }

  /** Where it listens. */
  get address(): string {
    return `127.0.0.1:${this.#listening}`
  }

  /** Lets clients connect, at the same port as before. */
  async accept(): Promise<void> {
    if (this.#server) return
    const server = createServer((client) => {
      this.#forward(client)
    })
    this.#server = server
    server.listen(this.#listening, '127.0.0.1')
    await once(server, 'listening')
    this.#listening = (server.address() as AddressInfo).port
  }

  /** Cuts all connections, and refuses new ones. */
  async refuse(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    server?.close()
    this.cut()
    if (server) await once(server, 'close')
  }

  /** Cuts all connections. */
  cut(): void {
    for (const pair of this.#pairs) this.#end(pair)
  }

  /** Cuts all connections, and hangs up on whoever connects; false ends it. */
  hangUp(hangsUp: boolean): void {
    this.#hangsUp = hangsUp
    if (hangsUp) this.cut()
  }

  /** Keeps answers back for so many milliseconds; 0 for none. Those that are kept back come when they are due. */
  delay(ms: number): void {
    this.#lateness = ms
  }

  /** Ambushes a request that holds the text; `undefined` for none. */
  ambush(text: string | undefined, losing: Ambush['losing'] = 'answer', skip = 0): void {
    this.#ambush = text === undefined ? undefined : { text, losing, skip }
  }

  #forward(client: Socket): void {
    this.connections++
    if (this.#hangsUp) {
      client.destroy()
      return
    }
    const server = connect(this.#port, this.#host)
    const pair: Pair = { client, server, deaf: false }
    this.#pairs.add(pair)
    for (const socket of [client, server]) {
      socket.setNoDelay(true)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        this.#pairs.delete(pair)
        client.destroy()
        // What the client had already sent still reaches the server, as over a real network.
        server.end()
      })
    }
    client.on('data', (request) => {
      this.#request(pair, request)
    })
    server.on('data', (answer) => {
      this.#answer(pair, answer)
    })
  }

  #request(pair: Pair, request: Buffer): void {
    const at = this.#struckAt(request)
    if (at === undefined) {
      pair.server.write(request)
      return
    }
    const losing = this.#ambush?.losing
    this.#ambush = undefined
    this.struck++
    if (losing === 'answer') {
      pair.deaf = true
      pair.server.write(request)
    } else {
      pair.server.write(request.subarray(0, at))
      this.#end(pair)
    }
  }

  /** Where in the request the ambush strikes, if it does. */
  #struckAt(request: Buffer): number | undefined {
    const ambush = this.#ambush
    const at = ambush ? request.indexOf(ambush.text) : -1
    if (!ambush || at < 0) return undefined
    if (ambush.skip-- > 0) return undefined
    return ambush.text === '' ? Math.ceil(request.length / 2) : at + Math.ceil(ambush.text.length / 2)
  }

  #answer(pair: Pair, answer: Buffer): void {
    if (pair.deaf) {
      this.#end(pair)
      return
    }
    if (this.#lateness === 0) {
      pair.client.write(answer)
      return
    }
    setTimeout(() => {
      if (!pair.client.destroyed) pair.client.write(answer)
    }, this.#lateness).unref()
  }

  #end({ client, server }: Pair): void {
    this.cuts++
    client.destroy()
    server.end()
  }
}

interface Pair {
  readonly client: Socket
  readonly server: Socket
  /** The answers go nowhere: the first of them cuts the connection. */
  deaf: boolean
}

/** A room of a store behind proxies, one for each of its servers. */
export class ProxiedRoom implements Room {
  readonly url: string
  readonly proxies: readonly Proxy[]
  readonly #room: Room

  private constructor(room: Room, url: string, proxies: readonly Proxy[]) {
    this.#room = room
    this.url = url
    this.proxies = proxies
  }

  static async before(place: Place): Promise<ProxiedRoom> {
    const room = (await place.roomApart?.()) ?? (await place.room())
    const { start, hosts, end } = partsOf(room.url)
    const proxies: Proxy[] = []
    for (const host of hosts) {
      const { hostname, port } = new URL(`http://${host}`)
      proxies.push(await Proxy.before(hostname, Number(port)))
    }
    return new ProxiedRoom(room, `${start}${proxies.map(({ address }) => address).join(',')}${end}`, proxies)
  }

  get namespace(): string {
    return this.#room.namespace
  }

  /** The same room without a proxy. */
  get direct(): Pick<Room, 'url' | 'namespace'> {
    return this.#room
  }

  get cuts(): number {
    return this.proxies.reduce((sum, { cuts }) => sum + cuts, 0)
  }

  get struck(): number {
    return this.proxies.reduce((sum, { struck }) => sum + struck, 0)
  }

  get connections(): number {
    return this.proxies.reduce((sum, { connections }) => sum + connections, 0)
  }

  cut(): void {
    for (const proxy of this.proxies) proxy.cut()
  }

  hangUp(hangsUp: boolean): void {
    for (const proxy of this.proxies) proxy.hangUp(hangsUp)
  }

  async refuse(): Promise<void> {
    for (const proxy of this.proxies) await proxy.refuse()
  }

  async accept(): Promise<void> {
    for (const proxy of this.proxies) await proxy.accept()
  }

  delay(ms: number): void {
    for (const proxy of this.proxies) proxy.delay(ms)
  }

  /** Ambushes the next request that holds the text, at whichever server. */
  ambush(...how: Parameters<Proxy['ambush']>): void {
    for (const proxy of this.proxies) proxy.ambush(...how)
  }

  async remove(): Promise<void> {
    await this.refuse()
    await this.#room.remove()
  }
}

/** The URL of a store, around its hosts. */
export function partsOf(url: string): { start: string; hosts: readonly string[]; end: string } {
  const [, start = '', hosts = '', end = ''] = /^([a-z+]+:\/\/(?:[^@/]*@)?)([^/?]+)(.*)$/.exec(url) ?? []
  if (hosts === '') throw new Error(`${url} has no host`)
  return { start, hosts: hosts.split(','), end }
}
