/** Servers of a test's own, for what must not be done to those that others use: filling, killing, stopping, flushing. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { standStill } from '../standing-still.ts'
import { until } from '../../until.ts'
import { atEnd, type Ending } from '../redis/ending.ts'

/** Why such tests are skipped; false when they aren't. */
export const skipPrivate: string | false =
  !(process.env['PATH'] ?? '').split(delimiter).some((folder) => isProgram(join(folder, 'memcached'))) &&
  'memcached is not on the PATH, and this test must not be done to a server that others use'

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** A server that can be killed and started again under its name. */
export class PrivateServer {
  readonly port: number
  readonly #settings: readonly string[]
  #process: ChildProcess | undefined

  constructor(port: number, settings: readonly string[]) {
    this.port = port
    this.#settings = settings
  }

  get name(): string {
    return `127.0.0.1:${this.port}`
  }

  /** Starts it and waits until it answers. */
  async start(): Promise<void> {
    await this.spawn()
    // Not whoever else took the port meanwhile.
    const own = new RegExp(`STAT pid ${this.#process?.pid}\r`)
    await until('the server answers', async () => own.test(await this.ask('stats\r\n')))
  }

  /** Starts it without looking whether it answers. */
  async spawn(): Promise<void> {
    const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
    const listen = this.#settings.includes('-s')
      ? []
      : ['-l', '127.0.0.1', '-p', String(this.port), '-U', '0']
    const child = spawn('memcached', [...user, ...listen, ...this.#settings], { stdio: 'ignore' })
    await once(child, 'spawn')
    this.#process = child
  }

  /** As a power cut would. */
  async kill(): Promise<void> {
    const child = this.#process
    this.#process = undefined
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  /** With its connections open and its memory as it is. */
  async standStill(): Promise<void> {
    await standStill(this.#process)
  }

  goOn(): void {
    this.#process?.kill('SIGCONT')
  }

  async answers(): Promise<boolean> {
    return (await this.ask('mn\r\n')).startsWith('MN')
  }

  /** What it answers to bytes that nobody of ours would send. */
  async ask(bytes: string): Promise<string> {
    const socket = connect(this.port, '127.0.0.1')
    try {
      socket.write(bytes)
      const [answer] = (await once(socket, 'data')) as [Buffer]
      return answer.toString('latin1')
    } finally {
      socket.destroy()
    }
  }
}

/** A server for one test. */
export async function privateServer(test: Ending, ...settings: readonly string[]): Promise<PrivateServer> {
  const server = new PrivateServer(await freePort(), settings)
  atEnd(test, () => server.kill())
  await server.start()
  return server
}

/** Below the range from which the system draws, so that no client's connection takes it while the server is down. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 8_000)
    const probe = createServer()
    try {
      probe.listen(port, '127.0.0.1')
      await once(probe, 'listening')
      return (probe.address() as AddressInfo).port
    } catch {
      // Taken.
    } finally {
      probe.close()
    }
  }
}
