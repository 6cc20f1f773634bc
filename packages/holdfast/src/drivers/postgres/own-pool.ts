/**
 * The pool that the store makes for itself from a URL, with the settings that we recommend: few connections, kept
 * alive, each made within seconds; a statement is given up by both sides when the deadline has long passed; a
 * connection to what has become a standby is refused.
 */

import { milliseconds } from '../../duration.ts'
import { ClientMissing, StoreReadOnly, StoreUnavailable } from '../../errors.ts'
import type { OpenOptions } from '../../store/store.ts'
import { type Address, addressOf, protections } from './address.ts'
import type { PostgresOptions } from './backend.ts'
import type { PostgresConnection, PostgresDatabase, PostgresPool } from './client.ts'
import { failure } from './failure.ts'
import { databaseOf } from './given.ts'

/** What is used of the package `pg`. */
interface Library {
  readonly Pool: new (options: object) => OwnPool
  readonly Client: new (options: object) => object
}

interface OwnPool extends PostgresPool {
  on(event: 'error', listener: (error: unknown) => void): unknown
  on(event: 'connect', listener: (connection: PostgresConnection) => void): unknown
  end(): Promise<void>
}

/** The most connections at once, one of which a watch keeps to itself. */
const mostConnections = 11
/** Milliseconds for making a connection. */
const connectTimeout = 3_000
const keepAliveAfter = 5_000
/** Milliseconds by which a statement may outlive the call that sent it. */
const grace = 1_000

/** A database over a pool of our own, made by `connect` and ended by `release`. */
export function ownDatabase(
  url: string,
  load: () => Promise<unknown>,
  options: PostgresOptions & OpenOptions,
): PostgresDatabase {
  const address = addressOf(url, options.tls)
  let held: { readonly pool: OwnPool; readonly database: PostgresDatabase } | undefined
  const current = (): PostgresDatabase => {
    if (!held) throw new StoreUnavailable('PostgreSQL is not connected')
    return held.database
  }
  return {
    listens: true,
    read: async (statement, values) => await current().read(statement, values),
    write: async (run, signal) => await current().write(run, signal),
    transaction: async (run, signal) => await current().transaction(run, signal),
    listen: async (channel, onWake, onLost) => await current().listen(channel, onWake, onLost),
    async connect() {
      if (held) return
      const library = asLibrary(await load())
      const pool = await connected(library, address, options)
      held = { pool, database: databaseOf(pool, options.prepare ?? true) }
    },
    async release() {
      const pool = held?.pool
      held = undefined
      await pool?.end()
    },
  }
}

/** Makes the pool and a first connection, so that a wrong address fails here. */
async function connected(library: Library, address: Address, options: PostgresOptions): Promise<OwnPool> {
  const [first, ...others] = protections(address)
  try {
    return await tried(library, address, options, first)
  } catch (error) {
    // With `prefer` a server that knows no TLS is spoken to without.
    if (others.length === 0 || !(error instanceof Error) || !/does not support SSL/i.test(error.message))
      throw error
    return await tried(library, address, options, others[0])
  }
}

async function tried(
  library: Library,
  address: Address,
  options: PostgresOptions,
  ssl: unknown,
): Promise<OwnPool> {
  // The pool's own limit also counts the waiting for a free connection, which is no outage.
  class Client extends library.Client {
    constructor(settings: { readonly password?: unknown }) {
      // The pool hides the password from those who copy its settings.
      super({ ...settings, password: settings.password, connectionTimeoutMillis: connectTimeout })
    }
  }
  const pool = new library.Pool({ ...poolSettings(options), ...address.settings, ssl, Client })
  pool.on('error', () => undefined)
  pool.on('connect', (each) => each.on('error', () => undefined))
  try {
    const connection = await pool.connect()
    connection.release()
    return pool
  } catch (error) {
    await pool.end()
    throw failure(error, true)
  }
}

function poolSettings(options: PostgresOptions): object {
  const longest = milliseconds(options.deadline ?? '5s', 'deadline') + grace
  return {
    application_name: 'holdfast',
    max: mostConnections,
    connectionTimeoutMillis: longest,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveAfter,
    query_timeout: longest,
    // Poolers refuse settings that they don't know at the start of a connection.
    ...(options.listen === false
      ? {}
      : { statement_timeout: longest, idle_in_transaction_session_timeout: longest }),
    verify: refuseStandby,
  }
}

/** A primary may become a standby while we are connected: what it shows after that is old. */
function refuseStandby(connection: PostgresConnection, done: (error?: Error) => void): void {
  connection.query({ text: 'select pg_is_in_recovery()::int as recovering', values: [] }).then(
    ({ rows }) => {
      if (rows[0]?.['recovering'] === 1)
        done(
          new StoreReadOnly(
            'this PostgreSQL server is a standby: it can only be read. Connect to the primary',
          ),
        )
      else done()
    },
    (error: unknown) => {
      done(failure(error, true))
    },
  )
}

function asLibrary(loaded: unknown): Library {
  const library = isLibrary(loaded) ? loaded : (loaded as { readonly default?: unknown } | null)?.default
  if (isLibrary(library)) return library
  throw new ClientMissing('this store needs the package pg, version 8 or later: npm install pg')
}

function isLibrary(loaded: unknown): loaded is Library {
  return typeof loaded === 'object' && loaded !== null && 'Pool' in loaded && 'Client' in loaded
}
