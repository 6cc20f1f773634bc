/**
 * Finds each backing server that the tests need, or starts a private one. In this order: an address in the
 * environment, the program on this machine, Docker, and, as root on Debian, the package.
 */
import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { inDocker, onThisMachine } from './place.ts'
import type { Place } from './place.ts'

const execute = promisify(execFile)

/** A server that doesn't answer after this long isn't going to. */
const startWithin = 60_000

/** One kind of server: what it is called, how to get it, and how to start it. */
export interface ServerKind {
  readonly name: string
  /** The environment variable by which tests learn its address, and by which a user may give one. */
  readonly variable: string
  readonly program: string
  readonly image: string
  readonly debianPackage: string
  /** How many ports it listens on. Each has the port 10,000 above it free as well. */
  readonly ports: number
  /** Starts it and resolves with its address once it is ready for use. */
  start(place: Place, ports: readonly number[]): Promise<string>
}

/** A server that tests can use. */
export interface FoundServer {
  readonly kind: ServerKind
  readonly address: string
  /** Where it comes from, in words. */
  readonly source: string
}

/** A server that can't be had here. */
export interface MissingServer {
  readonly kind: ServerKind
  readonly reason: string
}

export interface Servers {
  readonly found: readonly FoundServer[]
  readonly missing: readonly MissingServer[]
  /** What tests must find in their environment. */
  readonly environment: Readonly<Record<string, string>>
}

/** Gets all of `kinds`, and prints where each came from. Whatever it starts ends with this process. */
export async function getServers(kinds: readonly ServerKind[]): Promise<Servers> {
  const found: FoundServer[] = []
  const missing: MissingServer[] = []
  // Installing a package can't be done twice at once, so that places are found in turn; servers start together.
  const starts: Promise<void>[] = []
  for (const kind of kinds) {
    const origin = await findOrigin(kind)
    starts.push(
      obtain(kind, origin).then(
        (server) => void found.push(server),
        (error: unknown) => void missing.push({ kind, reason: messageOf(error) }),
      ),
    )
  }
  await Promise.all(starts)
  for (const server of found) console.log(describeFound(server))
  for (const server of missing) console.log(describeMissing(server))
  return {
    found,
    missing,
    environment: Object.fromEntries(found.map((server) => [server.kind.variable, server.address])),
  }
}

export function describeFound({ kind, source, address }: FoundServer): string {
  return `${kind.name}: ${source}, ${address}`
}

export function describeMissing({ kind, reason }: MissingServer): string {
  return `${kind.name}: not to be had. ${reason}`
}

/** Asks `ready` again and again until it holds. Gives up when the server has died or takes too long. */
export async function waitUntil(place: Place, ready: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + startWithin
  let lastError: unknown
  while (performance.now() < deadline) {
    await place.check()
    try {
      if (await ready()) return
    } catch (error) {
      lastError = error
    }
    await delay(50)
  }
  throw new Error(`${place.description} did not get ready within ${startWithin / 1000} s`, {
    cause: lastError,
  })
}

type Origin = 'environment' | 'machine' | 'docker' | { readonly none: string }

async function findOrigin(kind: ServerKind): Promise<Origin> {
  if (process.env[kind.variable]) return 'environment'
  if (await isOnPath(kind.program)) return 'machine'
  if (await succeeds('docker', ['info'])) return 'docker'
  const reason = `${kind.program} is not on the PATH and Docker does not answer`
  if (process.getuid?.() !== 0 || !(await isOnPath('apt-get'))) return { none: reason }
  console.log(`Installing ${kind.debianPackage} with apt-get ...`)
  await succeeds('apt-get', ['update'])
  const installed = await succeeds('apt-get', [
    'install',
    '-y',
    '--no-install-recommends',
    kind.debianPackage,
  ])
  return installed && (await isOnPath(kind.program))
    ? 'machine'
    : { none: `${reason}; apt-get could not install ${kind.debianPackage}` }
}

async function obtain(kind: ServerKind, origin: Origin): Promise<FoundServer> {
  if (origin === 'environment') return givenByTheUser(kind)
  if (typeof origin === 'object') throw new Error(origin.none)
  const ports = await freePorts(kind.ports)
  const place = origin === 'docker' ? await inDocker(kind.image, ports) : await onThisMachine(kind.program)
  const version =
    /\d+\.\d+[\w.]*/.exec(await place.run(kind.program, ['--version']))?.[0] ?? 'of unknown version'
  const address = await kind.start(place, ports)
  return { kind, address, source: `${version}, ${place.description}` }
}

async function givenByTheUser(kind: ServerKind): Promise<FoundServer> {
  const address = process.env[kind.variable] ?? ''
  for (const url of address.split(',')) {
    const { hostname, port } = new URL(url)
    const answers = await canConnect(hostname, Number(port))
    if (!answers) throw new Error(`${kind.variable} says ${url}, but nothing answers there`)
  }
  return { kind, address, source: `given by ${kind.variable}` }
}

async function isOnPath(program: string): Promise<boolean> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    try {
      await access(join(folder, program), constants.X_OK)
      return true
    } catch {
      // Not in this folder.
    }
  }
  return false
}

async function succeeds(program: string, args: readonly string[]): Promise<boolean> {
  try {
    await execute(program, [...args], { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } })
    return true
  } catch {
    return false
  }
}

const taken = new Set<number>()

/** Ports below the range from which the system draws, so that no client's connection takes one meanwhile. */
async function freePorts(count: number): Promise<readonly number[]> {
  const ports: number[] = []
  while (ports.length < count) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    if (taken.has(port)) continue
    taken.add(port)
    if ((await isFree(port)) && (await isFree(port + 10_000))) ports.push(port)
  }
  return ports
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => {
      resolve(false)
    })
    probe.listen(port, '127.0.0.1', () =>
      probe.close(() => {
        resolve(true)
      }),
    )
  })
}

function canConnect(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 5_000 })
    const answer = (connected: boolean) => {
      socket.destroy()
      resolve(connected)
    }
    socket.once('connect', () => answer(true))
    socket.once('error', () => answer(false))
    socket.once('timeout', () => answer(false))
  })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
