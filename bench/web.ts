/**
 * The doors: an application with our sessions against the same one with those that most use. Each side is a process of
 * its own, loaded by the same client in turn.
 *
 * `express`, `fastify`: one session in memory, which is read. `express-redis`: the same in one Redis. `express-write`:
 * each connection changes a session of its own in each request.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import autocannon from 'autocannon'
import { getServers } from '../scripts/servers/launch.ts'
import { serverKinds } from '../scripts/servers/index.ts'
import { type Finding, inTurn, type Series, type Settings } from './measure.ts'
import type { Role } from './web-process.ts'

const seconds = 3

interface Side {
  readonly url: string
  readonly process: ChildProcess
}

interface Load {
  readonly path: '/read' | '/write'
  readonly connections: number
}

const reading: Load = { path: '/read', connections: 20 }
const writing: Load = { path: '/write', connections: 20 }

export const express: Series = (settings) => overMemory(settings, 'express', ['native', 'drop-in'])

/** By default @fastify/session stores what is only read as well, and sets its cookie: so it is measured without, too. */
export const fastify: Series = async function* (settings) {
  yield* overMemory(settings, 'fastify', ['native'])
  const theirs: Role = { framework: 'fastify', sessions: 'theirs', rolling: false }
  const found = await compared(settings, { framework: 'fastify', sessions: 'native' }, theirs, reading)
  yield { ...found, of: 'native, theirs with `rolling: false`' }
}

/** With what no sessions at all would give, which is the most that any could: a ratio above that can't be. */
async function* overMemory(
  settings: Settings,
  framework: Role['framework'],
  ours: readonly ('native' | 'drop-in')[],
): AsyncGenerator<Finding> {
  const theirs: Role = { framework, sessions: 'theirs' }
  const theirCost = await costOf(settings, theirs)
  for (const sessions of ours) {
    const role: Role = { framework, sessions }
    const found = await compared(settings, role, theirs, reading)
    const { cost } = await costOf(settings, role)
    const note = `${found.note}; costs ${cost} µs a request more than none at all, theirs ${theirCost.cost}; none against theirs: ${theirCost.most}`
    yield { ...found, of: sessions, note }
  }
}

export const expressRedis: Series = async function* (settings) {
  const store = await serverAt('Redis', 'HOLDFAST_TEST_REDIS')
  for (const sessions of ['native', 'drop-in'] as const) {
    yield {
      ...(await compared(settings, { framework: 'express', sessions, store }, theirsOver(store), reading)),
      of: sessions,
    }
  }
}

export const expressWrite: Series = async function* (settings) {
  const stores = {
    Redis: await serverAt('Redis', 'HOLDFAST_TEST_REDIS'),
    PostgreSQL: await serverAt('PostgreSQL', 'HOLDFAST_TEST_POSTGRES'),
  }
  for (const [name, store] of Object.entries(stores)) {
    for (const sessions of ['native', 'drop-in'] as const) {
      yield {
        ...(await compared(settings, { framework: 'express', sessions, store }, theirsOver(store), writing)),
        of: `${name}, ${sessions}`,
      }
    }
  }
}

function theirsOver(store: string): Role {
  return { framework: 'express', sessions: 'theirs', store }
}

async function serverAt(kind: string, name: string): Promise<string> {
  const { environment } = await getServers(serverKinds.filter((each) => each.name === kind))
  const url = environment[name]
  if (url === undefined) throw new Error(`there is no ${kind} to measure with`)
  return url
}

async function compared(
  settings: Settings,
  our: Role,
  their: Role,
  load: Load,
): Promise<Omit<Finding, 'of'>> {
  const [ours, theirs] = [await start(our), await start(their)]
  try {
    const cookies = [await cookiesOf(ours, load), await cookiesOf(theirs, load)] as const
    const figures = await inTurn(
      settings,
      () => loaded(ours, load, cookies[0]),
      () => loaded(theirs, load, cookies[1]),
    )
    const what =
      load.path === '/read' ? 'one session, read-only' : 'a session per connection, changed each time'
    return {
      ...figures,
      unit: 'requests/s',
      note: `${String(load.connections)} connections, ${what}; server and client share the machine`,
    }
  } finally {
    for (const { process } of [ours, theirs]) process.kill('SIGTERM')
  }
}

/** Microseconds that the sessions cost a request, by the requests per second with and without, and those as a ratio. */
async function costOf(
  settings: Settings,
  role: Role,
): Promise<{ readonly cost: string; readonly most: string }> {
  const [ours, bare] = [await start(role), await start({ ...role, sessions: 'none' })]
  try {
    const cookies = await cookiesOf(ours, reading)
    const {
      ours: withThem,
      theirs: without,
      ratio,
    } = await inTurn(
      settings,
      () => loaded(ours, reading, cookies),
      () => loaded(bare, reading, cookies),
    )
    return { cost: (1e6 / withThem - 1e6 / without).toFixed(0), most: (1 / ratio).toFixed(2) }
  } finally {
    for (const { process } of [ours, bare]) process.kill('SIGTERM')
  }
}

async function start(role: Role): Promise<Side> {
  const file = fileURLToPath(new URL('web-process.ts', import.meta.url))
  const child = spawn(
    process.execPath,
    ['--conditions=holdfast-source', '--no-warnings', file, JSON.stringify(role)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_ENV: 'production' },
    },
  )
  const [url] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  return { url, process: child }
}

/** A session for each connection that changes it; one for all that only read. */
async function cookiesOf({ url }: Side, { path, connections }: Load): Promise<readonly string[]> {
  const count = path === '/read' ? 1 : connections
  return await Promise.all(
    Array.from({ length: count }, async () => {
      const answer = await fetch(`${url}/write`)
      // Theirs are stored when the last byte is here, and no sooner.
      await answer.arrayBuffer()
      const cookie = answer.headers
        .getSetCookie()
        .map((each) => each.split(';')[0]!)
        .join('; ')
      const { n } = (await (await fetch(`${url}/read`, { headers: { cookie } })).json()) as {
        readonly n: number
      }
      if (n !== 1) throw new Error('the session is not found again')
      return cookie
    }),
  )
}

async function loaded(
  { url }: Side,
  { path, connections }: Load,
  cookies: readonly string[],
): Promise<number> {
  let next = 0
  const result = await autocannon({
    url: url + path,
    connections,
    duration: seconds,
    setupClient: (client) => {
      client.setHeaders({ cookie: cookies[next++ % cookies.length]! })
    },
  })
  if (result.non2xx > 0 || result.errors > 0)
    throw new Error(`${String(result.non2xx)} of the requests failed`)
  return result.requests.average
}
