/**
 * Finds each backing server that the tests need, or starts a private one. In this order: an address in the
 * environment, the program on this machine, Docker, and, as root on Debian, the package.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { ServerKind } from './kind.ts'
import { findOrigin, installMissing } from './origin.ts'
import { inDocker, onThisMachine } from './place.ts'
import type { Place } from './place.ts'
import { canConnect, freePorts } from './ports.ts'

/** A server that doesn't answer after this long isn't going to. */
const startWithin = 60_000

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
  // Installing can't be done twice at once, so it is done for all of them first; servers start together.
  await installMissing(kinds.filter((kind) => !isGiven(kind)))
  await Promise.all(
    kinds.map((kind) =>
      obtain(kind).then(
        (server) => void found.push(server),
        (error: unknown) => void missing.push({ kind, reason: messageOf(error) }),
      ),
    ),
  )
  found.sort((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind))
  missing.sort((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind))
  for (const server of found) console.log(describeFound(server))
  for (const server of missing) console.log(describeMissing(server))
  return {
    found,
    missing,
    environment: Object.fromEntries(found.map((server) => [server.kind.variable, server.address])),
  }
}

export function describeFound({ kind, source, address }: FoundServer): string {
  return `${kind.name}: ${source}, ${address.replace(/:[^:@/,]*@/g, ':***@')}`
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

function isGiven(kind: ServerKind): boolean {
  return Boolean(process.env[kind.variable])
}

async function obtain(kind: ServerKind): Promise<FoundServer> {
  if (isGiven(kind)) return givenByTheUser(kind)
  if (kind.recipes.length === 0) throw new Error(`It is never started here: give one by ${kind.variable}`)
  const { recipe, folder } = await findOrigin(kind)
  const ports = await freePorts(recipe.ports)
  const place =
    folder === undefined && recipe.image !== undefined
      ? await inDocker(recipe.image, ports)
      : await onThisMachine(recipe.program, folder)
  const version =
    /\d+\.\d+[\w.]*/.exec(await place.run(recipe.program, ['--version']))?.[0] ?? 'of unknown version'
  const address = await recipe.start(place, ports)
  return { kind, address, source: `${version}, ${place.description}` }
}

async function givenByTheUser(kind: ServerKind): Promise<FoundServer> {
  const address = process.env[kind.variable] ?? ''
  await (kind.check ? kind.check(address) : checkHosts(kind, address))
  return { kind, address, source: `given by ${kind.variable}` }
}

async function checkHosts(kind: ServerKind, address: string): Promise<void> {
  for (const [host, port] of hostsOf(address, kind.defaultPort ?? 0)) {
    if (!(await canConnect(host, port))) {
      throw new Error(`${kind.variable} says ${host}:${port}, but nothing answers there`)
    }
  }
}

/** Hosts of `redis://a:1,redis://b:2`, of `memcached://a:1,b:2` and of `mongodb://user@a:1,b:2/name?x=y`. */
function hostsOf(address: string, defaultPort: number): readonly (readonly [string, number])[] {
  // The hosts of such an address are known to the name service only.
  if (/^[a-z]+\+srv:/.test(address)) return []
  return address.split(',').map((part) => {
    const { hostname, port } = new URL(`tcp://${part.replace(/^[a-z][a-z0-9+.-]*:\/\//, '')}`)
    return [hostname.replace(/^\[|\]$/g, ''), port === '' ? defaultPort : Number(port)]
  })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
