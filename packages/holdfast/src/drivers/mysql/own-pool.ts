/**
 * The pool that the store makes for itself from a URL, with the settings that we recommend: few connections, kept
 * alive, each made within seconds; no waiting for a lock beyond the deadline.
 */

import { systemClock } from '../../clock.ts'
import { milliseconds } from '../../duration.ts'
import { ClientMissing, StoreMisconfigured, StoreUnavailable } from '../../errors.ts'
import { contentOf } from '../sql/url.ts'
import type { MysqlOptions, Source } from './backend.ts'
import type { OpenOptions, TlsOptions } from '../../store/store.ts'
import type { MysqlPool } from './client.ts'

/** What is used of `mysql2/promise`. */
interface Library {
  createPool(options: object): OwnPool
}

interface OwnPool extends MysqlPool {
  /** The pool underneath, whose connections call back. */
  readonly pool: { on(event: 'connection', listener: (connection: CallbackConnection) => void): unknown }
  end(): Promise<void>
}

interface CallbackConnection {
  query(sql: string, answer: (error: unknown) => void): unknown
  readonly stream: Stream
}

interface Stream {
  once(event: 'close', listener: () => void): unknown
  destroy(): unknown
}

/** What a store that makes its own pool can be told. */
export type OwnOptions = MysqlOptions & OpenOptions

/** The most connections at once. */
const mostConnections = 8
/** Milliseconds for making a connection. */
const connectTimeout = 3_000
/** Milliseconds for closing all connections. */
const longestGoodbye = 500
const keepAliveAfter = 5_000
const idleTimeout = 30_000
/** Statements that a connection keeps prepared. */
const mostPrepared = 200

/** A source over a pool of our own, made by `connect` and ended by `release`. */
export function ownSource(url: string, load: () => Promise<unknown>, options: OwnOptions): Source {
  const address = parsed(url, options.tls)
  let held: OwnPool | undefined
  const streams = new Set<Stream>()
  return {
    pool() {
      if (!held) throw new StoreUnavailable('the server is not connected')
      return held
    },
    // The level is the connections' own: no statement has to set it.
    begin: ['start transaction'],
    async connect() {
      if (held) return
      held = asLibrary(await load()).createPool({ ...poolSettings, ...address })
      const settings = sessionSettings(milliseconds(options.deadline ?? '5s', 'deadline'))
      held.pool.on('connection', (connection) => {
        remember(streams, connection.stream)
        // Asked for before whatever will use the connection; where it fails nothing depends on it.
        for (const setting of settings) connection.query(setting, () => undefined)
      })
    },
    async release() {
      const pool = held
      held = undefined
      if (pool) await ended(pool)
      for (const stream of streams) stream.destroy()
    },
  }
}

/** A server that is away, or silent, can't be said goodbye to. */
async function ended(pool: OwnPool): Promise<void> {
  await new Promise<void>((resolve) => {
    const cancel = systemClock.timer(longestGoodbye, resolve)
    pool
      .end()
      .catch(() => undefined)
      .finally(() => {
        cancel()
        resolve()
      })
  })
}

function remember(streams: Set<Stream>, stream: Stream): void {
  streams.add(stream)
  stream.once('close', () => {
    streams.delete(stream)
  })
}

/**
 * What was sent goes on at the server when its client is gone, and waits for locks: not for longer than its client
 * would have.
 */
function sessionSettings(deadline: number): readonly string[] {
  return [
    'set session transaction isolation level read committed',
    `set session innodb_lock_wait_timeout = ${Math.max(1, Math.floor(deadline / 2_000))}`,
  ]
}

const poolSettings = {
  connectionLimit: mostConnections,
  maxIdle: mostConnections,
  idleTimeout,
  connectTimeout,
  enableKeepAlive: true,
  keepAliveInitialDelay: keepAliveAfter,
  maxPreparedStatements: mostPrepared,
  supportBigNumbers: true,
  charset: 'utf8mb4',
  // Longer stacks for errors cost a tenth of each statement.
  trace: false,
  connectAttributes: { program_name: 'holdfast' },
}

const sslModes = ['disabled', 'required', 'verify_ca', 'verify_identity'] as const
const files = { 'ssl-ca': 'ca', 'ssl-cert': 'cert', 'ssl-key': 'key' } as const

/** Errors never repeat the URL: it may hold a password. */
function parsed(text: string, tls: TlsOptions | undefined): Readonly<Record<string, unknown>> {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !['mysql:', 'mariadb:'].includes(url.protocol) || url.hash !== '') {
    throw misspelt('is not a URL of MySQL or MariaDB')
  }
  const database = decoded(url.pathname.slice(1))
  if (database === '' || database.includes('/')) throw misspelt('has to name one database')
  const host = url.hostname === '' ? 'localhost' : decoded(url.hostname).replace(/^\[(.*)\]$/, '$1')
  const socket = url.searchParams.get('socket')
  const ssl = securityOf(url.searchParams, tls)
  if (ssl && tls?.servername !== undefined && tls.servername !== host) {
    throw new StoreMisconfigured(
      'the package mysql2 looks for the name of the host in the certificate, and no other: leave tls.servername out',
    )
  }
  return {
    host,
    port: url.port === '' ? 3306 : Number(url.port),
    user: decoded(url.username),
    password: decoded(url.password),
    database,
    ...(socket === null ? {} : { socketPath: socket }),
    ...(ssl && { ssl }),
  }
}

/** What to say of TLS to mysql2; nothing where it is off. */
function securityOf(parameters: URLSearchParams, tls: TlsOptions | undefined): object | undefined {
  const known = ['ssl-mode', ...Object.keys(files), 'socket']
  const unknown = [...parameters.keys()].find((name) => !known.includes(name))
  if (unknown !== undefined) {
    throw misspelt(`has the unknown parameter ${JSON.stringify(unknown)}; known are ${known.join(', ')}`)
  }
  const given = Object.entries(files).flatMap(([name, option]) => {
    const path = parameters.get(name)
    return path === null ? [] : [[option, contentOf(name, path)] as const]
  })
  const named = parameters.get('ssl-mode')
  const mode = modeOf(named ?? (given.length > 0 || tls ? 'verify_identity' : 'disabled'))
  if (mode === 'disabled') {
    if (!tls && given.length === 0) return undefined
    throw new StoreMisconfigured(
      'there are settings of TLS, but ssl-mode=disabled in the URL: leave out either',
    )
  }
  const { servername: _, rejectUnauthorized = mode !== 'required', ...rest } = tls ?? {}
  const verifyIdentity = rejectUnauthorized && mode === 'verify_identity'
  return { ...Object.fromEntries(given), ...rest, rejectUnauthorized, verifyIdentity }
}

function modeOf(name: string): (typeof sslModes)[number] {
  const mode = sslModes.find((each) => each === name.toLowerCase().replace('-', '_'))
  if (mode === undefined) throw misspelt(`has an unknown ssl-mode; known are ${sslModes.join(', ')}`)
  return mode
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw misspelt('is not validly percent-encoded', cause)
  }
}

function misspelt(why: string, cause?: unknown): StoreMisconfigured {
  return new StoreMisconfigured(
    `the URL ${why}. Write mysql://[user:password@]host[:3306]/database[?ssl-mode=…], or mariadb:// with the same, and ` +
      'percent-encode the password',
    { cause },
  )
}

function asLibrary(loaded: unknown): Library {
  const library = isLibrary(loaded) ? loaded : (loaded as { readonly default?: unknown } | null)?.default
  if (isLibrary(library)) return library
  throw new ClientMissing('this store needs the package mysql2, version 3 or later: npm install mysql2')
}

function isLibrary(loaded: unknown): loaded is Library {
  return typeof loaded === 'object' && loaded !== null && 'createPool' in loaded
}
