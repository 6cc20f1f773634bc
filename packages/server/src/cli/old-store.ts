/** Opens, by its URL, where another library keeps its sessions, with the client that it is read with. */

import { ClientMissing, StoreUnavailable } from 'holdfast'
import {
  connectMongoSessions,
  connectPgSimpleSessions,
  connectRedisSessions,
  type OldMongoClient,
  type OldNodeRedis,
  type OldPgPool,
  type OldSessions,
  type OldSessionsOptions,
  sessionFileStoreSessions,
} from 'holdfast/migration'
import { Misused } from './failure.ts'

/** Sessions of another library, and how to let go of them. */
export interface OldStore {
  readonly old: OldSessions
  close(): Promise<void>
}

type Parameters = ReadonlyMap<string, string>
type Opener = (url: string, parameters: Parameters, options: OldSessionsOptions) => Promise<OldStore>

/** By the name of the library: who opens it, the schemes behind its plus sign, and the parameters that are its own. */
const libraries: Readonly<
  Record<
    string,
    {
      readonly open: Opener
      readonly schemes: RegExp
      readonly example: string
      readonly parameters: readonly string[]
      /** Whether the client has parameters as well. Where it has none, a mistyped one would copy nothing. */
      readonly passesOthers: boolean
    }
  >
> = {
  'connect-redis': {
    open: openConnectRedis,
    schemes: /^rediss?:/,
    example: 'connect-redis+redis://localhost?prefix=sess:',
    parameters: ['prefix'],
    passesOthers: false,
  },
  'connect-pg-simple': {
    open: openConnectPgSimple,
    schemes: /^postgres(ql)?:/,
    example: 'connect-pg-simple+postgres://localhost/app?table=session',
    parameters: ['table', 'schema'],
    passesOthers: true,
  },
  'connect-mongo': {
    open: openConnectMongo,
    schemes: /^mongodb(\+srv)?:/,
    example: 'connect-mongo+mongodb://localhost/app?collection=sessions',
    parameters: ['collection'],
    passesOthers: true,
  },
  'session-file-store': {
    open: openSessionFileStore,
    schemes: /^:/,
    example: 'session-file-store:./sessions',
    parameters: ['ttl', 'extension'],
    passesOthers: false,
  },
}

/** Whether a URL names the store of another library. */
export function isOldStore(url: string): boolean {
  return libraryOf(url) !== undefined
}

/**
 * Opens it.
 *
 * @throws {Misused} for a URL that can't be meant.
 * @throws {ClientMissing} @throws {StoreUnavailable}
 */
export async function openOldStore(url: string, options: OldSessionsOptions): Promise<OldStore> {
  const name = libraryOf(url)
  const library = libraries[name ?? '']
  if (name === undefined || !library) throw new Misused('this is not the URL of another library’s store')
  const address = url.slice(name.length).replace(/^\+/, '')
  if (!library.schemes.test(address)) {
    throw new Misused(`sessions of ${name} are named like ${library.example}`)
  }
  const { rest, own, others } = separated(address, library.parameters)
  if (others.length > 0 && !library.passesOthers) {
    const known = library.parameters.join(' and ')
    throw new Misused(`${name} has no parameter ${others.join(', ')} here: known are ${known}`)
  }
  return await library.open(rest, own, options)
}

function libraryOf(url: string): string | undefined {
  return Object.keys(libraries).find((name) => url.startsWith(`${name}+`) || url.startsWith(`${name}:`))
}

/** Takes a library's own parameters out of a URL. The rest is the client's, however it is written. */
function separated(url: string, names: readonly string[]) {
  const own = new Map<string, string>()
  const [address = '', query = ''] = url.split('?', 2)
  const others: string[] = []
  const rest = query.split('&').filter((part) => {
    const [name = '', ...values] = part.split('=')
    if (part === '') return false
    if (!names.includes(name)) return others.push(name) > 0
    const value = values.join('=')
    own.set(name, decoded(name, value))
    return false
  })
  return { rest: rest.length > 0 ? `${address}?${rest.join('&')}` : address, own, others }
}

/** @throws {Misused} */
function decoded(name: string, value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    throw new Misused(`${name} is not validly percent-encoded`)
  }
}

async function openConnectRedis(url: string, parameters: Parameters, options: OldSessionsOptions) {
  const library = (await client('redis')) as {
    createClient(options: object): OldNodeRedis & {
      connect(): Promise<unknown>
      info(section: string): Promise<unknown>
      destroy(): unknown
      on(event: 'error', listener: () => void): unknown
    }
  }
  const socket = { connectTimeout: 2_000, reconnectStrategy: false }
  const redis = made('Redis', () => library.createClient({ url, socket }))
  redis.on('error', () => undefined)
  await reached('Redis', () => redis.connect())
  // Where nobody may ask this, it is taken for no cluster.
  const cluster = await redis.info('cluster').catch(() => '')
  if (String(cluster).includes('cluster_enabled:1')) {
    redis.destroy()
    throw new Misused(
      'this Redis is a node of a cluster, where only some of the sessions are: copy them by a program, with ' +
        'copyOldSessions of holdfast/migration and a client of the cluster',
    )
  }
  const old = connectRedisSessions(redis, { ...options, ...given({ prefix: parameters.get('prefix') }) })
  return {
    old,
    close: () => {
      redis.destroy()
      return Promise.resolve()
    },
  }
}

async function openConnectPgSimple(url: string, parameters: Parameters, options: OldSessionsOptions) {
  const { Pool } = defaultOf(await client('pg')) as {
    Pool: new (options: object) => OldPgPool & {
      end(): Promise<void>
      on(event: 'error', listener: () => void): unknown
    }
  }
  const pool = new Pool({ connectionString: url, max: 2, connectionTimeoutMillis: 2_000 })
  pool.on('error', () => undefined)
  const names = { tableName: parameters.get('table'), schemaName: parameters.get('schema') }
  return {
    old: connectPgSimpleSessions(pool, { ...options, ...given(names) }),
    close: () => pool.end(),
  }
}

async function openConnectMongo(url: string, parameters: Parameters, options: OldSessionsOptions) {
  const { MongoClient } = (await client('mongodb')) as {
    MongoClient: new (
      url: string,
      options: object,
    ) => OldMongoClient & { connect(): Promise<unknown>; close(): Promise<void> }
  }
  const mongo = made('MongoDB', () => new MongoClient(url, { serverSelectionTimeoutMS: 2_000 }))
  await reached('MongoDB', () => mongo.connect())
  const names = { collectionName: parameters.get('collection') }
  return {
    old: connectMongoSessions(mongo, { ...options, ...given(names) }),
    close: () => mongo.close(),
  }
}

function openSessionFileStore(url: string, parameters: Parameters, options: OldSessionsOptions) {
  const [, path] = /^:(?:\/\/(?=\/))?([^?#]+)$/.exec(url) ?? []
  if (path === undefined || path.startsWith('//')) {
    throw new Misused('write session-file-store:relative/path or session-file-store:///absolute/path')
  }
  const seconds = parameters.get('ttl')
  if (seconds !== undefined && !/^[1-9]\d{0,9}$/.test(seconds)) {
    throw new Misused(`ttl is in whole seconds, as session-file-store has it, not ${seconds}`)
  }
  const settings = given({ fileExtension: parameters.get('extension') })
  const ttl = seconds === undefined ? {} : { ttl: Number(seconds) * 1_000 }
  const folder = decoded('the folder', path)
  const old = sessionFileStoreSessions(folder, { ...options, ...settings, ...ttl })
  return Promise.resolve({ old, close: () => Promise.resolve() })
}

/** Only the options that were given. */
function given(options: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> {
  const entries = Object.entries(options).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return Object.fromEntries(entries)
}

/** What a client says of a URL that it can't use may have the password in it. */
function made<Client>(server: string, make: () => Client): Client {
  try {
    return make()
  } catch {
    throw new Misused(`this is not the address of one ${server}: write it as its own URLs are written`)
  }
}

async function reached(server: string, connect: () => Promise<unknown>): Promise<void> {
  try {
    await connect()
  } catch (cause) {
    throw new StoreUnavailable(`${server} can't be reached: ${(cause as Error).message}`, { cause })
  }
}

/** Loads a client library, which is the user's to install. */
async function client(name: string): Promise<unknown> {
  try {
    return await import(name)
  } catch (cause) {
    throw new ClientMissing(`this needs the package ${name}: npm install ${name}`, { cause })
  }
}

/** Packages in CommonJS may have all they have in their default export. */
function defaultOf(library: unknown): unknown {
  return 'default' in (library as object) ? (library as { readonly default: unknown }).default : library
}
