/**
 * What connect-redis stored: JSON under `sess:<id>`, which Redis itself ends.
 *
 * A key without a time to live (option `disableTTL`) never ends there, so neither does its session here.
 * Tried with connect-redis 9 over node-redis 6, and ioredis 6.
 */

import { StoreUnavailable } from '../errors.ts'
import { never } from '../store/record.ts'
import type { OldPage, OldScan, OldSession, OldSessions, OldSessionsOptions } from './old-sessions.ts'
import { isSid, pageLimit, Reading } from './reading.ts'

/** A client of node-redis: `createClient()`, `createSentinel()`. */
export interface OldNodeRedis {
  get(key: string): Promise<unknown>
  pTTL(key: string): Promise<unknown>
  del(keys: string[]): Promise<unknown>
  scan(
    cursor: string,
    options: { readonly MATCH: string; readonly COUNT: number },
  ): Promise<{ readonly cursor: unknown; readonly keys: readonly unknown[] }>
}

/** A cluster of node-redis: `createCluster()`. */
export interface OldNodeRedisCluster extends Omit<OldNodeRedis, 'scan'> {
  readonly masters: readonly { readonly address: string }[]
  nodeClient(master: never): Pick<OldNodeRedis, 'scan'> | Promise<Pick<OldNodeRedis, 'scan'>>
}

/** A client of ioredis or iovalkey. */
export interface OldIoRedis {
  get(key: string): Promise<unknown>
  pttl(key: string): Promise<unknown>
  del(keys: string[]): Promise<unknown>
  scan(
    cursor: string,
    match: 'MATCH',
    pattern: string,
    count: 'COUNT',
    number: number,
  ): Promise<readonly [unknown, readonly unknown[]]>
  readonly options?: { readonly keyPrefix?: string | undefined }
  /** A cluster has it. */
  nodes?(role: 'master'): readonly (Pick<OldIoRedis, 'scan'> & {
    readonly options?: { readonly host?: string | undefined; readonly port?: number | undefined }
  })[]
}

/** A client that fits. */
export type OldRedisClient = OldNodeRedis | OldNodeRedisCluster | OldIoRedis

/** Settings of {@link connectRedisSessions}. */
export interface ConnectRedisOptions extends OldSessionsOptions {
  /** What keys begin with. @default 'sess:' */
  readonly prefix?: string
}

/** Reads what connect-redis stored. */
export function connectRedisSessions(client: OldRedisClient, options: ConnectRedisOptions = {}): OldSessions {
  return new ConnectRedis(commandsOf(client), options)
}

/** The few commands that are needed, whoever sends them. */
interface Commands {
  get(key: string): Promise<unknown>
  pttl(key: string): Promise<unknown>
  del(keys: string[]): Promise<unknown>
  scan(cursor: string, pattern: string, count: number): Promise<readonly [unknown, readonly unknown[]]>
  /** What the client itself puts before each key, and doesn't take off what a scan finds. */
  readonly keyPrefix: string
}

class ConnectRedis implements OldSessions {
  readonly description: string
  readonly #commands: Commands
  readonly #prefix: string
  readonly #reading: Reading

  constructor(commands: Commands, options: ConnectRedisOptions) {
    this.#commands = commands
    this.#prefix = options.prefix ?? 'sess:'
    this.description = `connect-redis (keys ${this.#prefix}*)`
    this.#reading = new Reading(this.description, options)
  }

  async read(sid: string, { signal }: { readonly signal?: AbortSignal } = {}) {
    if (!isSid(sid)) return undefined
    return await this.#session(sid, signal)
  }

  async remove(sid: string): Promise<void> {
    if (isSid(sid)) await this.#reading.asked(() => this.#commands.del([this.#prefix + sid]))
  }

  async scan(scan: OldScan = {}): Promise<OldPage> {
    const before = this.#commands.keyPrefix + this.#prefix
    const limit = pageLimit(scan)
    const [cursor, found] = await this.#reading.asked(() =>
      this.#commands.scan(scan.after ?? '0', `${literally(before)}*`, limit),
    )
    const sids = found.map((key) => textOf(key).slice(before.length)).filter(isSid)
    const sessions = await Promise.all(sids.map((sid) => this.#session(sid)))
    const next = textOf(cursor)
    return {
      sessions: sessions.filter((each) => each !== undefined),
      // A cursor is good for this server in its present state only, so no later run can rely on it.
      ...(next === '0' ? {} : { next }),
    }
  }

  count(): Promise<undefined> {
    // The server only knows how many keys it has, whosever they are.
    return Promise.resolve(undefined)
  }

  async #session(sid: string, signal?: AbortSignal): Promise<OldSession | undefined> {
    const key = this.#prefix + sid
    const [text, ttl] = await this.#reading.asked(() => this.#both(key), signal)
    if (text === malformed) {
      this.#reading.malformed(sid, 'its key does not hold a text')
      return undefined
    }
    if (text === null || ttl === -2) return undefined
    const expiresAt = ttl === -1 ? never : this.#reading.now + ttl
    return this.#reading.live(sid, this.#reading.content(sid, text), expiresAt)
  }

  /** Sent together: what was replaced in between lives at least as long as it is told to. */
  async #both(key: string): Promise<readonly [string | null | typeof malformed, number]> {
    const [text, ttl] = await Promise.all([this.#text(key), this.#commands.pttl(key)])
    return [text, Number(ttl)]
  }

  async #text(key: string): Promise<string | null | typeof malformed> {
    try {
      const found = await this.#commands.get(key)
      return found === null || found === undefined ? null : textOf(found)
    } catch (error) {
      if (error instanceof Error && error.message.startsWith('WRONGTYPE')) return malformed
      throw error
    }
  }
}

/** What a key of another type counts as. */
const malformed: unique symbol = Symbol('malformed')

type Scan = Commands['scan']

function commandsOf(client: OldRedisClient): Commands {
  if ('pttl' in client) {
    return {
      get: (key) => client.get(key),
      pttl: (key) => client.pttl(key),
      del: (keys) => client.del(keys),
      scan: client.nodes ? overNodes(() => ioRedisNodes(client)) : ioRedisScan(client),
      keyPrefix: client.options?.keyPrefix ?? '',
    }
  }
  return {
    get: (key) => client.get(key),
    pttl: (key) => client.pTTL(key),
    del: (keys) => client.del(keys),
    scan: 'masters' in client ? overNodes(() => nodeRedisNodes(client)) : nodeRedisScan(client),
    keyPrefix: '',
  }
}

function nodeRedisScan(client: Pick<OldNodeRedis, 'scan'>): Scan {
  return async (cursor, pattern, count) => {
    const found = await client.scan(cursor, { MATCH: pattern, COUNT: count })
    return [found.cursor, found.keys]
  }
}

function ioRedisScan(client: Pick<OldIoRedis, 'scan'>): Scan {
  return (cursor, pattern, count) => client.scan(cursor, 'MATCH', pattern, 'COUNT', count)
}

/** The masters of a cluster, always in the same order. */
async function nodeRedisNodes(client: OldNodeRedisCluster): Promise<readonly Scan[]> {
  const masters = client.masters.toSorted((a, b) => (a.address < b.address ? -1 : 1))
  return await Promise.all(
    masters.map(async (master) => nodeRedisScan(await client.nodeClient(master as never))),
  )
}

function ioRedisNodes(client: OldIoRedis): Promise<readonly Scan[]> {
  const named = (client.nodes?.('master') ?? []).map((node) => ({
    node,
    address: `${node.options?.host}:${node.options?.port}`,
  }))
  return Promise.resolve(
    named.sort((a, b) => (a.address < b.address ? -1 : 1)).map(({ node }) => ioRedisScan(node)),
  )
}

/** One node after the other. A cursor says which, and where in it. */
function overNodes(nodes: () => Promise<readonly Scan[]>): Scan {
  return async (cursor, pattern, count) => {
    const [place = '0', within = '0'] = cursor.includes(':') ? cursor.split(':') : []
    const scans = await nodes()
    const scan = scans[Number(place)]
    if (!scan) throw new StoreUnavailable('the cluster has fewer masters than when the scan began')
    const [next, keys] = await scan(within, pattern, count)
    if (textOf(next) !== '0') return [`${place}:${textOf(next)}`, keys]
    return [Number(place) + 1 < scans.length ? `${Number(place) + 1}:0` : '0', keys]
  }
}

/** Clients may be set to answer with bytes, or with numbers. */
function textOf(answer: unknown): string {
  return answer instanceof Uint8Array ? Buffer.from(answer).toString() : String(answer)
}

/** The prefix as a pattern that only matches itself. */
function literally(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&')
}
