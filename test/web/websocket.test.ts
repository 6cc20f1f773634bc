/** The door for WebSockets, by real sockets of `ws`: who is let in, and when they are told that it is over. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { type WebSocket as ServerSocket, WebSocket, WebSocketServer } from 'ws'
import type { Clock } from '../../packages/holdfast/src/clock.ts'
import { Memory, memoryDriver, memoryStore } from '../../packages/holdfast/src/drivers/memory.ts'
import type { SessionsOptions } from '../../packages/holdfast/src/sessions/options.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import { guard } from '../../packages/holdfast/src/store/guard.ts'
import type { Change } from '../../packages/holdfast/src/store/contract.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { type FakeClock, fakeClock } from '../../packages/holdfast/src/testing/clock.ts'
import { type FaultPlan, withFaults } from '../../packages/holdfast/src/testing/faults.ts'
import {
  type NodeOptions,
  refuseUpgrade,
  type SocketSession,
  socketSessions,
} from '../../packages/holdfast/src/web/websocket.ts'
import { openRoom, places } from '../stores/places.ts'
import { until } from '../until.ts'

/** By name, with a feed and without. */
const stores = ['memory', 'SQLite', 'PostgreSQL', 'Redis', 'a folder', 'MariaDB']

for (const name of stores) {
  const { skip, room: newRoom } = places.find((each) => each.name === name)!

  describe(`sockets over ${name}`, { skip }, () => {
    /** Two processes on one store: what the first serves, the second ends. */
    async function opened(
      t: TestContext,
      options: SessionsOptions = {},
    ): Promise<{ scene: Scene; elsewhere: Sessions }> {
      const room = await newRoom()
      const store = await openRoom(room)
      // What is only in this process's memory has no second process.
      const other = name === 'memory' ? store : await openRoom(room)
      const scene = await Scene.begin(new Sessions(store, options))
      t.after(async () => {
        await scene.end()
        await store.close()
        if (other !== store) await other.close()
        await room.remove()
      })
      return { scene, elsewhere: new Sessions(other, options) }
    }

    it('an upgrade has the session of its cookie, and a signal when that is ended elsewhere', async (t) => {
      const { scene, elsewhere } = await opened(t)
      const { credential = '', id = '' } = await scene.sessions.start({ user: 'ada' })
      const [one, another] = [await scene.connect(credential), await scene.connect(credential)]
      const bystander = await scene.connect((await scene.sessions.start({ user: 'ada' })).credential)
      assert.deepEqual(await Promise.all([one, another, bystander].map(greeting)), ['ada', 'ada', 'ada'])
      await elsewhere.destroy(id)
      assert.deepEqual(await Promise.all([one, another].map(closing)), [4401, 4401])
      assert.equal(bystander.readyState, WebSocket.OPEN)
    })

    it('is told of "log out everywhere", and of a login by somebody else', async (t) => {
      const { scene, elsewhere } = await opened(t)
      const { credential } = await scene.sessions.start({ user: 'ada' })
      const revoked = await scene.connect(credential)
      const other = await scene.sessions.start({ user: 'bob' })
      const takenOver = await scene.connect(other.credential)
      const again = await scene.sessions.start({ user: 'cleo' })
      const same = await scene.connect(again.credential)
      await elsewhere.revoke({ user: 'ada' })
      await (await elsewhere.load(other.credential)).login('dora')
      const here = await elsewhere.load(again.credential)
      await here.login('cleo')
      here.set('theme', 'dark')
      await here.save()
      assert.deepEqual(await Promise.all([revoked, takenOver].map(closing)), [4401, 4401])
      assert.equal(await greeting(same), 'cleo')
      assert.equal(same.readyState, WebSocket.OPEN)
    })

    it('is told when the session expires, and not before', async (t) => {
      const { scene } = await opened(t, { idle: '3s', touchEvery: 0, absolute: '1h' })
      const { credential } = await scene.sessions.start({ user: 'ada' })
      const used = await scene.connect(credential)
      const begun = performance.now()
      await new Promise((resolve) => setTimeout(resolve, 1_200))
      await scene.sessions.load(credential)
      assert.equal(await closing(used), 4401)
      assert.ok(performance.now() - begun > 4_000, 'the use in between prolonged it')
    })
  })
}

describe('an upgrade', () => {
  it('from a page of another site is refused, and one from no browser at all is not', async (t) => {
    const { scene } = await Lab.begin(t)
    const { credential } = await scene.sessions.start({ user: 'ada' })
    assert.equal(await scene.refused(credential, { origin: 'https://elsewhere.example' }), 403)
    assert.equal(await scene.refused(credential, { headers: { 'sec-fetch-site': 'cross-site' } }), 403)
    // Nor without a cookie: it may be one that the browser keeps from this very page.
    assert.equal(await scene.refused(undefined, { origin: 'https://elsewhere.example' }), 403)
    assert.equal(await greeting(await scene.connect(credential, { origin: scene.origin })), 'ada')
    assert.equal(await greeting(await scene.connect(credential)), 'ada')
  })

  it('from another site is let in where that is allowed by name', async (t) => {
    const { scene } = await Lab.begin(t, { web: { checkOrigin: { allow: ['https://app.example'] } } })
    const { credential } = await scene.sessions.start({ user: 'ada' })
    assert.equal(await greeting(await scene.connect(credential, { origin: 'https://app.example' })), 'ada')
    assert.equal(await scene.refused(credential, { origin: 'https://app.example.evil' }), 403)
  })

  it('without a session has an empty one, and is never told of its end', async (t) => {
    const lab = await Lab.begin(t)
    assert.equal(await greeting(await lab.scene.connect(undefined)), 'nobody')
    assert.equal(await greeting(await lab.scene.connect('hfs_forged.credential')), 'nobody')
    assert.deepEqual(lab.left, [0, 0])
  })

  it('from elsewhere than its session is bound to has none, and its user goes on', async (t) => {
    const sessions = new Sessions(memoryStore(), { binding: { agent: { match: 'exact', policy: 'rotate' } } })
    const scene = await Scene.begin(sessions)
    t.after(() => scene.end())
    const { credential } = await sessions.start({ user: 'ada', client: { agent: 'one' } })
    const from = (agent: string) => scene.connect(credential, { headers: { 'user-agent': agent } })
    assert.equal(await greeting(await from('another')), 'nobody')
    assert.equal(await greeting(await from('one')), 'ada')
  })

  it('while the store is down is 503', async (t) => {
    const lab = await Lab.begin(t)
    const { credential } = await lab.scene.sessions.start({ user: 'ada' })
    lab.begin()
    lab.plan = () => 'fail'
    assert.equal(await lab.scene.refused(credential), 503)
    assert.deepEqual(lab.left, [0, 0])
  })
})

describe('a connection that is reset', () => {
  it('is let go of while the store is asked, and behind a refusal', async (t) => {
    const lab = await Lab.begin(t)
    const { credential } = await lab.scene.sessions.start({ user: 'ada' })
    await lab.scene.sessions.load(credential)
    await lab.settled()
    lab.begin()
    const { promise, resolve } = Promise.withResolvers<undefined>()
    lab.reading = promise
    lab.readings = 0
    const waiting = lab.scene.raw({ cookie: `__Host-session=${credential}` })
    await until('the store is asked', () => lab.readings > 0)
    waiting.resetAndDestroy()
    await until('the reset has arrived', async () => (await lab.scene.connections()) === 0)
    resolve(undefined)
    const refused = lab.scene.raw({ origin: 'https://elsewhere.example' })
    const [answer] = (await once(refused, 'data')) as [Buffer]
    assert.match(String(answer), /^HTTP\/1\.1 403 /)
    refused.resetAndDestroy()
    await until('the reset has arrived', async () => (await lab.scene.connections()) === 0)
    await lab.settled()
    assert.deepEqual(lab.left, [0, 0])
    assert.equal(await greeting(await lab.scene.connect(credential)), 'ada')
  })
})

describe('a socket of a session whose pages have a lock', () => {
  it('takes none', async (t) => {
    const { scene } = await Lab.begin(t, { web: { lock: () => '1s' } })
    const { credential } = await scene.sessions.start({ user: 'ada' })
    await scene.connect(credential)
    const page = await scene.sessions.load(credential, { lock: 0 })
    assert.equal(page.user, 'ada')
    await page.release()
  })
})

describe('following over a feed that breaks', () => {
  it('asks instead, until it is restored', async (t) => {
    const lab = await Lab.begin(t)
    const { credential } = await lab.scene.sessions.start({ user: 'ada' })
    const socket = await lab.scene.connect(credential)
    lab.tell({ type: 'broken', cause: new Error('the feed broke on purpose') })
    lab.isDeaf = true
    await lab.settled()
    await lab.scene.sessions.logout(credential!)
    await lab.settled()
    assert.equal(socket.readyState, WebSocket.OPEN)
    lab.clock.advance(1_000)
    assert.equal(await closing(socket), 4401)
  })
})

for (const feed of [true, false]) {
  describe(`following over a store with${feed ? '' : 'out'} a feed`, () => {
    it('leaves no watch and no timer behind', async (t) => {
      const lab = await Lab.begin(t, { feed })
      const { credential } = await lab.scene.sessions.start({ user: 'ada' })
      // Whoever reads a session follows the marks.
      await lab.scene.sessions.load(credential)
      await lab.settled()
      lab.begin()
      const sockets = [await lab.scene.connect(credential), await lab.scene.connect(credential)]
      assert.deepEqual(lab.left, [feed ? 1 : 0, 2])
      for (const socket of sockets) socket.close()
      await Promise.all(sockets.map(closing))
      await lab.settled()
      assert.deepEqual(lab.left, [0, 0])
      const next = await lab.scene.connect(credential)
      assert.deepEqual(lab.left, [feed ? 1 : 0, 1])
      await lab.scene.sessions.logout(credential!)
      lab.clock.advance(1_000)
      assert.equal(await closing(next), 4401)
      await lab.settled()
      assert.deepEqual(lab.left, [0, 0])
    })

    it('takes an outage for no logout, and hears of a logout once it is over', async (t) => {
      const lab = await Lab.begin(t, { feed })
      const { credential, id = '' } = await lab.scene.sessions.start({ user: 'ada' })
      const socket = await lab.scene.connect(credential)
      lab.plan = ({ operation }) => (operation === 'read' ? 'fail' : undefined)
      const closed = closing(socket)
      for (let i = 0; i < 4; i++) {
        lab.clock.advance(60_000 * 11)
        await lab.settled()
      }
      assert.equal(socket.readyState, WebSocket.OPEN, 'its end can’t be known')
      lab.plan = () => undefined
      lab.clock.advance(1_000)
      assert.equal(await closed, 4401, 'it expired meanwhile')
      assert.equal(await lab.scene.sessions.get(id), undefined)
    })
  })
}

/** The other side's first words: who it is taken for. */
async function greeting(socket: Client): Promise<string> {
  return await socket.greeting
}

async function closing(socket: Client): Promise<number> {
  return await socket.closing
}

class Client extends WebSocket {
  readonly greeting: Promise<string>
  readonly closing: Promise<number>

  constructor(url: string, options: object) {
    super(url, options)
    this.greeting = once(this, 'message').then(([data]) => String(data))
    this.closing = once(this, 'close').then(([code]) => Number(code))
    this.greeting.catch(() => undefined)
    this.closing.catch(() => undefined)
  }
}

/** A server whose sockets say who they are, and close when their session has ended. */
class Scene {
  readonly sessions: Sessions
  readonly #server: Server
  readonly #sockets = new WebSocketServer({ noServer: true })

  private constructor(sessions: Sessions, options: NodeOptions) {
    this.sessions = sessions
    const open = socketSessions(sessions, options)
    this.#server = createServer((_request, response) => response.writeHead(426).end())
    this.#server.on('upgrade', (request, socket, head) => {
      open(request).then(
        (found) => this.#sockets.handleUpgrade(request, socket, head, (ws) => serve(ws, found)),
        (error: unknown) => refuseUpgrade(socket, error),
      )
    })
  }

  static async begin(sessions: Sessions, options: NodeOptions = {}): Promise<Scene> {
    const scene = new Scene(sessions, options)
    await new Promise<void>((resolve) => scene.#server.listen(0, '127.0.0.1', resolve))
    return scene
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Opens a socket, and waits until it has been greeted. */
  async connect(credential: string | undefined, options: object = {}): Promise<Client> {
    const client = this.#client(credential, options)
    await once(client, 'open')
    await client.greeting
    return client
  }

  /** The status with which a socket is refused. */
  async refused(credential: string | undefined, options: object = {}): Promise<number | undefined> {
    const client = this.#client(credential, options)
    client.on('error', () => undefined)
    const { promise, resolve, reject } = Promise.withResolvers<number | undefined>()
    client.on('open', () => reject(new Error('it was let in')))
    client.on('unexpected-response', (request, { statusCode }) => {
      request.destroy()
      resolve(statusCode)
    })
    return await promise
  }

  /** Asks for a socket over a connection that the test has in its hands. */
  raw(headers: Readonly<Record<string, string>>): Socket {
    const socket = connect((this.#server.address() as AddressInfo).port, '127.0.0.1')
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    socket.write(
      `GET / HTTP/1.1\r\nHost: app\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${lines.join('')}\r\n`,
    )
    return socket
  }

  /** How many connections there are. */
  async connections(): Promise<number> {
    return await promisify(this.#server.getConnections.bind(this.#server))()
  }

  async end(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate()
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #client(credential: string | undefined, options: { readonly headers?: object }): Client {
    const cookie = credential === undefined ? {} : { cookie: `__Host-session=${credential}` }
    return new Client(this.origin.replace('http', 'ws'), {
      ...options,
      headers: { ...cookie, ...options.headers },
    })
  }
}

function serve(ws: ServerSocket, found: SocketSession): void {
  const end = (): void => ws.close(4401, 'the session has ended')
  if (found.signal.aborted) end()
  found.signal.addEventListener('abort', end)
  ws.on('close', () => found.stop())
  ws.send(found.session.user ?? 'nobody')
}

/** Over memory, with a clock that tests move, and an eye on what is left behind. */
class Lab {
  readonly clock: FakeClock = fakeClock({ start: Date.now(), sleeps: 'instant' })
  plan: FaultPlan = () => undefined
  /** Waited for before each reading. */
  reading: Promise<unknown> = Promise.resolve()
  /** How many were begun. */
  readings = 0
  /** Whether nothing is told of changes. */
  isDeaf = false
  readonly #listeners: ((change: Change) => void)[] = []
  /** Watches that are open, and timers that have not gone off. */
  readonly #open: [watches: number, timers: number] = [0, 0]
  /** What the sessions themselves need. */
  #usual: readonly [watches: number, timers: number] = [0, 0]
  #scene: Scene | undefined

  get scene(): Scene {
    return this.#scene!
  }

  static async begin(
    t: TestContext,
    { feed = true, web = {} }: { feed?: boolean; web?: NodeOptions } = {},
  ): Promise<Lab> {
    const lab = new Lab()
    lab.#scene = await Scene.begin(new Sessions(lab.#store(feed)), web)
    t.after(() => lab.scene.end())
    return lab
  }

  /** Has all watches told of something. */
  tell(change: Change): void {
    for (const listener of this.#listeners) listener(change)
  }

  /** Counts from now on. */
  begin(): void {
    this.#usual = [...this.#open]
  }

  /** The watches and timers that are there since then. */
  get left(): readonly [watches: number, timers: number] {
    return [this.#open[0] - this.#usual[0], this.#open[1] - this.#usual[1]]
  }

  /** Waits for what has been begun. */
  async settled(): Promise<void> {
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
  }

  #store(feed: boolean): Store {
    const memory = memoryDriver({ memory: new Memory() })
    const watch = memory.watch.bind(memory)
    memory.watch = async (listener, call) => {
      this.#listeners.push(listener)
      const opened = await watch((change) => {
        if (!this.isDeaf) listener(change)
      }, call)
      this.#open[0]++
      return {
        mark: () => opened.mark(),
        close: () => {
          this.#open[0]--
          return opened.close()
        },
      }
    }
    const driver = withFaults(memory, {
      plan: (call) => this.plan(call),
      declare: { watch: feed },
      gate: {
        before: async (call) => {
          if (call.operation !== 'read') return
          this.readings++
          await this.reading
        },
        after: () => undefined,
      },
    })
    return guard(driver, { clock: this.#counted(), circuit: false })
  }

  #counted(): Clock {
    const { clock } = this
    return {
      now: () => clock.now(),
      elapsed: () => clock.elapsed(),
      sleep: (ms, options) => clock.sleep(ms, options),
      timer: (ms, ring) => this.#timer(ms, ring),
    }
  }

  #timer(ms: number, ring: () => void): () => void {
    this.#open[1]++
    let isOver = false
    const over = (): void => {
      if (!isOver) this.#open[1]--
      isOver = true
    }
    const cancel = this.clock.timer(ms, () => {
      over()
      ring()
    })
    return () => {
      over()
      cancel()
    }
  }
}
