/** Servers of a test's own, for what must not be done to those that others use: filling, killing, flushing. */

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { standStill } from '../standing-still.ts'
import { until } from '../../until.ts'
import { atEnd, type Ending } from './ending.ts'

const execute = promisify(execFile)

/** Why such tests are skipped; false when they aren't. */
export const skipPrivate: string | false =
  !(process.env['PATH'] ?? '').split(delimiter).some((folder) => isProgram(join(folder, 'redis-server'))) &&
  'redis-server is not on the PATH, and this test must not be done to a server that others use'

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** A running server. */
export class PrivateServer {
  readonly port: number
  readonly #process: ChildProcess
  readonly #folder: string

  private constructor(port: number, process: ChildProcess, folder: string) {
    this.port = port
    this.#process = process
    this.#folder = folder
  }

  static async start(...settings: readonly string[]): Promise<PrivateServer> {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-redis-'))
    const port = await freePort()
    const fixed = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder]
    const process = spawn('redis-server', [...fixed, ...settings], { stdio: 'ignore' })
    await once(process, 'spawn')
    const server = new PrivateServer(port, process, folder)
    await until('the server answers', async () => (await server.ask('ping')).includes('PONG'))
    return server
  }

  /** A Sentinel, with the lines of its configuration, which it rewrites. */
  static async startSentinel(configuration: string): Promise<PrivateServer> {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-sentinel-'))
    const port = await freePort()
    const file = join(folder, 'sentinel.conf')
    await writeFile(file, `port ${port}\nbind 127.0.0.1\ndir ${folder}\n${configuration}\n`)
    const process = spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' })
    await once(process, 'spawn')
    const server = new PrivateServer(port, process, folder)
    await until('the Sentinel answers', async () => (await server.ask('ping')).includes('PONG'))
    return server
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  /** What `redis-cli` prints. */
  async ask(...command: readonly string[]): Promise<string> {
    return (await execute('redis-cli', ['-p', String(this.port), ...command])).stdout
  }

  /** Listens with TLS as well, where it was started with certificates. */
  async listenSecurely(): Promise<number> {
    const port = await freePort()
    await this.ask('config', 'set', 'tls-port', String(port))
    return port
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null
  }

  /** With its connections open. */
  async standStill(): Promise<void> {
    await standStill(this.#process)
  }

  goOn(): void {
    this.#process.kill('SIGCONT')
  }

  /** As a power cut would. */
  async kill(): Promise<void> {
    if (!this.isRunning) return
    const ended = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await ended
  }

  async stop(): Promise<void> {
    await this.kill()
    await rm(this.#folder, { recursive: true, force: true })
  }
}

/** A server for one test. */
export async function privateServer(test: Ending, ...settings: readonly string[]): Promise<PrivateServer> {
  const server = await PrivateServer.start(...settings)
  atEnd(test, () => server.stop())
  return server
}

/** Three masters, each with a replica that follows it. */
export class PrivateCluster {
  readonly servers: readonly PrivateServer[]

  private constructor(servers: readonly PrivateServer[]) {
    this.servers = servers
  }

  static async start(): Promise<PrivateCluster> {
    const timing = ['--cluster-node-timeout', '1000', '--repl-diskless-sync-delay', '0']
    const servers: PrivateServer[] = []
    for (let i = 0; i < 6; i++) servers.push(await PrivateServer.start('--cluster-enabled', 'yes', ...timing))
    const addresses = servers.map(({ port }) => `127.0.0.1:${port}`)
    const layout = ['--cluster-replicas', '1', '--cluster-yes']
    await execute('redis-cli', ['--cluster', 'create', ...addresses, ...layout])
    // A master that is killed before its replica follows it is never replaced.
    for (const server of servers) await until('the cluster is settled', () => isSettled(server))
    return new PrivateCluster(servers)
  }

  get urls(): readonly string[] {
    return this.servers.map(({ url }) => url)
  }

  /** The address of a master that a replica follows. */
  async replaceable(): Promise<string> {
    const running = this.servers.filter((each) => each.isRunning)
    const told = await Promise.all(running.map((server) => server.ask('info', 'replication')))
    const master = running[told.findIndex((info) => /role:master[^]*state=online/.test(info))]
    if (!master) throw new Error('no master has a replica')
    return `127.0.0.1:${master.port}`
  }

  /** Kills the master at the address and waits until its replica has taken over. */
  async failOver(address: string): Promise<void> {
    const master = this.servers.find(({ port }) => address.endsWith(`:${port}`))
    if (!master) throw new Error(`${address} is not of this cluster`)
    await master.kill()
    const others = this.servers.filter((server) => server.isRunning)
    await until('a replica has taken over', async () => {
      const states = await Promise.all(others.map((server) => server.ask('cluster', 'nodes')))
      return states.every((nodes) => {
        const masters = nodes.split('\n').filter((line) => line.includes('master') && !line.includes('fail'))
        return masters.length === 3 && masters.every((line) => /connected \d/.test(line))
      })
    })
  }

  /** Has a replica take over from a master that stays alive. */
  async handOver(): Promise<void> {
    const running = this.servers.filter((each) => each.isRunning)
    const roles = await Promise.all(running.map((server) => server.ask('role')))
    const replica = running[roles.findIndex((role) => role.startsWith('slave'))]
    if (!replica) throw new Error('no replica is left')
    await replica.ask('cluster', 'failover')
    await until('it has taken over, and all agree', async () => {
      const states = await Promise.all(running.map((server) => server.ask('cluster', 'info')))
      // The old master may take itself for one a moment longer.
      const masters = (await Promise.all(running.map((server) => server.ask('role')))).filter((role) =>
        role.startsWith('master'),
      )
      return (
        (await replica.ask('role')).startsWith('master') &&
        masters.length === 3 &&
        states.every((state) => state.includes('state:ok'))
      )
    })
  }

  /** Begins to move a slot to another master. */
  async beginMove(slot: number): Promise<{ carry(key: string): Promise<void>; finish(): Promise<void> }> {
    const nodes = await Promise.all(
      this.servers
        .filter((each) => each.isRunning)
        .map(async (server) => ({ server, ...(await introduced(server)) })),
    )
    const masters = nodes.filter(({ isMaster }) => isMaster)
    const from = masters.find(({ slots }) => slots.some(([first, last]) => first <= slot && slot <= last))
    const to = masters.find((each) => each !== from)
    if (!from || !to) throw new Error('the slot has no master')
    await obeyed(to.server, 'cluster', 'setslot', String(slot), 'importing', from.id)
    await obeyed(from.server, 'cluster', 'setslot', String(slot), 'migrating', to.id)
    return {
      carry: (key) => obeyed(from.server, 'migrate', '127.0.0.1', String(to.server.port), key, '0', '5000'),
      finish: async () => {
        for (const { server } of [to, from])
          await obeyed(server, 'cluster', 'setslot', String(slot), 'node', to.id)
      },
    }
  }

  async stop(): Promise<void> {
    for (const server of this.servers) await server.stop()
  }
}

/** redis-cli ends well also when the server refuses. */
async function obeyed(server: PrivateServer, ...command: readonly string[]): Promise<void> {
  const answer = (await server.ask(...command)).trim()
  if (answer !== 'OK') throw new Error(`${command.join(' ')}: ${answer}`)
}

/** What a node of a cluster says about itself. */
async function introduced(server: PrivateServer): Promise<{
  readonly id: string
  readonly isMaster: boolean
  readonly slots: readonly (readonly [number, number])[]
}> {
  const nodes = (await server.ask('cluster', 'nodes')).split('\n')
  const words =
    nodes
      .find((line) => line.includes('myself'))
      ?.trim()
      .split(' ') ?? []
  const slots = words.slice(8).map((range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return [first, last] as const
  })
  return { id: words[0] ?? '', isMaster: words[2]?.includes('master') ?? false, slots }
}

async function isSettled(server: PrivateServer): Promise<boolean> {
  const cluster = await server.ask('cluster', 'info')
  if (!cluster.includes('cluster_state:ok') || !cluster.includes('cluster_known_nodes:6')) return false
  const replication = await server.ask('info', 'replication')
  return replication.includes('role:slave')
    ? replication.includes('master_link_status:up')
    : replication.includes('connected_slaves:1')
}

/** Below 55,536, because the bus of a cluster listens 10,000 above, and below the range of clients' own ports. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 8_000)
    if ((await isFree(port)) && (await isFree(port + 10_000))) return port
  }
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer()
  try {
    probe.listen(port, '127.0.0.1')
    await once(probe, 'listening')
    return (probe.address() as AddressInfo).port === port
  } catch {
    return false
  } finally {
    probe.close()
  }
}
