/** The few methods of the official client that the driver uses, and what all its commands have in common. */

import { InvalidOption } from '../../errors.ts'
import type { Call } from '../../store/contract.ts'
import { failure, neverSent } from './failure.ts'
import type { Fields } from './layout.ts'

/** Settings of one command. */
export interface CommandOptions {
  readonly readPreference?: string | object
  readonly session?: MongodbSession
  /** Takes the command back if it wasn't sent yet, else cuts its connection. From version 6.13 of the client. */
  readonly signal?: AbortSignal | undefined
  readonly promoteValues?: boolean
  readonly promoteLongs?: boolean
  readonly promoteBuffers?: boolean
  readonly useBigInt64?: boolean
  readonly raw?: boolean
  readonly ignoreUndefined?: boolean
  readonly serializeFunctions?: boolean
  readonly checkKeys?: boolean
  readonly enableUtf8Validation?: boolean
  readonly bsonRegExp?: boolean
  readonly fieldsAsRaw?: Record<string, unknown>
}

/** A database: `client.db('app')` of the package `mongodb`. */
export interface MongodbDatabase {
  readonly databaseName: string
  /** Not declared by every version of the client. */
  readonly client?: MongodbSessions
  command(command: Record<string, unknown>, options?: CommandOptions): Promise<Fields>
  collection(name: string): MongodbCollection
}

/** A client: `new MongoClient(url)` of the package `mongodb`. */
export interface MongodbClient extends MongodbSessions {
  /** The database that the client's URL names. */
  db(): MongodbDatabase
}

/** What a database tells of its client. */
export interface MongodbSessions {
  readonly options?: { readonly directConnection?: boolean }
  /** Does nothing where it is connected. */
  connect(): Promise<unknown>
  startSession(): MongodbSession
}

/** A session, for one transaction. */
export interface MongodbSession {
  startTransaction(options: {
    readonly readConcern: { readonly level: 'snapshot' }
    readonly writeConcern: WriteConcern
    readonly readPreference: 'primary'
  }): void
  commitTransaction(): Promise<unknown>
  abortTransaction(): Promise<unknown>
  endSession(): Promise<unknown>
}

/** What change streams need of a collection. */
export interface MongodbCollection {
  watch(pipeline: Record<string, unknown>[], options: Record<string, unknown>): MongodbChangeStream
}

/** A change stream. */
export interface MongodbChangeStream {
  /** The next change, or `null` when there is none for now. */
  tryNext(): Promise<Record<string, unknown> | null>
  close(): Promise<unknown>
}

/** How sure a write is before it is answered. */
export interface WriteConcern {
  readonly w: 'majority'
  readonly j: true
  readonly wtimeoutMS?: number
}

/** Whatever the client was told about types and members: a record comes back as it went in, from the primary. */
const pinned: CommandOptions = {
  readPreference: 'primary',
  promoteValues: true,
  promoteLongs: true,
  promoteBuffers: true,
  useBigInt64: false,
  raw: false,
  ignoreUndefined: false,
  serializeFunctions: false,
  checkKeys: false,
  enableUtf8Validation: true,
  bsonRegExp: false,
  fieldsAsRaw: {},
}

/** The client and its database, as they are at the moment. */
export interface Source {
  client(): MongodbSessions
  database(): MongodbDatabase
  connect(): Promise<void>
  /** Only a client of our own is let go of. */
  release?(): Promise<void>
}

/**
 * Sends one command, each of them once: the client repeats none of its own accord, so a lost answer stays lost until
 * the guard has read what became of it.
 */
export async function send(
  source: Source,
  command: Fields,
  call: Call,
  session?: MongodbSession,
): Promise<Fields> {
  try {
    const options = { ...pinned, signal: call.signal, ...(session && { session }) }
    return await source.database().command({ ...command }, options)
  } catch (error) {
    throw failure(error)
  }
}

/** The source of a client or a database that was given. */
export function sourceOf(given: MongodbClient | MongodbDatabase): Source {
  const database = 'command' in given ? given : given.db()
  const client = 'command' in given ? given.client : given
  if (!client) throw new InvalidOption('this version of mongodb needs the client instead of a database of it')
  return {
    client: () => client,
    database: () => database,
    // Without it, a client whose server was not there at its first attempt would never try again.
    async connect() {
      try {
        await client.connect()
      } catch (error) {
        throw neverSent(error)
      }
    },
  }
}
