/**
 * What connect-mongo stored: documents of `_id`, `session` (JSON, or an object with `stringify: false`) and `expires`,
 * in the collection `sessions`. One without `expires` never ends there.
 *
 * What only MongoDB knows becomes what JSON makes of it: dates and object ids become texts.
 * Tried with connect-mongo 6 over mongodb 7.
 */

import { NotSupported } from '../errors.ts'
import { never } from '../store/record.ts'
import type { OldPage, OldScan, OldSession, OldSessions, OldSessionsOptions } from './old-sessions.ts'
import { isSid, pageLimit, Reading } from './reading.ts'
import { cursorsAt, startOf } from './sid-order.ts'

type OldDocument = Record<string, unknown>

/** A collection of the package `mongodb`. */
export interface OldMongoCollection {
  findOne(filter: OldDocument, options: OldDocument): Promise<OldDocument | null>
  find(filter: OldDocument, options: OldDocument): { toArray(): Promise<OldDocument[]> }
  deleteOne(filter: OldDocument, options: OldDocument): Promise<unknown>
  estimatedDocumentCount(): Promise<number>
}

/** A database: `client.db('app')`. */
export interface OldMongoDatabase {
  readonly databaseName: string
  collection(name: string): OldMongoCollection
}

/** A client: `new MongoClient(url)`. */
export interface OldMongoClient {
  db(name?: string): OldMongoDatabase
}

/** Settings of {@link connectMongoSessions}. */
export interface ConnectMongoOptions extends OldSessionsOptions {
  /** The database, where a client is given. @default the one that its URL names */
  readonly dbName?: string
  /** @default 'sessions' */
  readonly collectionName?: string
  /** The same as connect-mongo was given. A scan is not possible then: ids can't be told from documents. */
  readonly transformId?: (sid: string) => string
  /** The same as connect-mongo was given, where sessions are encrypted. */
  readonly cryptoAdapter?: { decrypt(ciphertext: string): Promise<string> }
}

/** Reads what connect-mongo stored. */
export function connectMongoSessions(
  given: OldMongoClient | OldMongoDatabase,
  options: ConnectMongoOptions = {},
): OldSessions {
  const database = 'collection' in given ? given : given.db(options.dbName)
  return new ConnectMongo(database, options)
}

/** Whatever the client was told about types: what comes is what is meant here, from the primary. */
const reads = {
  readPreference: 'primary',
  promoteValues: true,
  promoteLongs: true,
  promoteBuffers: false,
  useBigInt64: false,
  raw: false,
} as const

class ConnectMongo implements OldSessions {
  readonly description: string
  readonly #collection: OldMongoCollection
  readonly #options: ConnectMongoOptions
  readonly #reading: Reading

  constructor(database: OldMongoDatabase, options: ConnectMongoOptions) {
    const { collectionName = 'sessions' } = options
    this.#collection = database.collection(collectionName)
    this.#options = options
    this.description = `connect-mongo (collection ${collectionName} of ${database.databaseName})`
    this.#reading = new Reading(this.description, options)
  }

  async read(sid: string, { signal }: { readonly signal?: AbortSignal } = {}) {
    if (!isSid(sid)) return undefined
    const filter = { _id: this.#storageId(sid) }
    const found = await this.#reading.asked(() => this.#collection.findOne(filter, { ...reads }), signal)
    return found ? await this.#session(sid, found) : undefined
  }

  async remove(sid: string): Promise<void> {
    if (!isSid(sid)) return
    const writeConcern = { w: 'majority', j: true }
    const filter = { _id: this.#storageId(sid) }
    await this.#reading.asked(() => this.#collection.deleteOne(filter, { writeConcern }))
  }

  async scan(scan: OldScan = {}): Promise<OldPage> {
    if (this.#options.transformId) {
      throw new NotSupported(
        `${this.description} can't be scanned: transformId has made other ids of the sessions' own. Read them at ` +
          'their first touch',
        'scanning',
      )
    }
    const limit = pageLimit(scan)
    const { from, inclusive } = startOf(scan.after)
    const found = await this.#reading.asked(() =>
      this.#collection
        .find({ _id: { [inclusive ? '$gte' : '$gt']: from } }, { ...reads, sort: { _id: 1 }, limit })
        .toArray(),
    )
    const sessions = await Promise.all(found.map((each) => this.#scanned(each)))
    const last = found.at(-1)?.['_id']
    return {
      sessions: sessions.filter((each) => each !== undefined),
      ...(found.length < limit || typeof last !== 'string' ? {} : cursorsAt(last)),
    }
  }

  async count(): Promise<number> {
    return await this.#reading.asked(() => this.#collection.estimatedDocumentCount())
  }

  async #scanned(found: OldDocument): Promise<OldSession | undefined> {
    const { _id: sid } = found
    return isSid(sid) ? await this.#session(sid, found) : undefined
  }

  async #session(sid: string, { session, expires }: OldDocument): Promise<OldSession | undefined> {
    const text = await this.#text(sid, session)
    if (text === undefined) return undefined
    // Nothing is no end; anything else that isn't a date is not one of connect-mongo's.
    const expiresAt = expires === undefined ? never : expires instanceof Date ? expires.getTime() : Number.NaN
    return this.#reading.live(sid, this.#reading.content(sid, text), expiresAt)
  }

  /** The session as JSON; `undefined` when it is malformed. @throws {StoreMisconfigured} when its key is another one. */
  async #text(sid: string, session: unknown): Promise<string | undefined> {
    if (typeof session === 'string') return await this.#decrypted(sid, session)
    try {
      return JSON.stringify(session ?? null)
    } catch {
      this.#reading.malformed(sid, 'it is not JSON')
      return undefined
    }
  }

  async #decrypted(sid: string, text: string): Promise<string | undefined> {
    const { cryptoAdapter } = this.#options
    if (!cryptoAdapter) return text
    try {
      return innermost(await cryptoAdapter.decrypt(text))
    } catch (cause) {
      this.#reading.undecrypted(sid, text, cause)
      return undefined
    }
  }

  #storageId(sid: string): string {
    return this.#options.transformId?.(sid) ?? sid
  }
}

/** What is encrypted is JSON, or JSON of JSON. */
function innermost(plain: string): string {
  try {
    const parsed = JSON.parse(plain) as unknown
    return typeof parsed === 'string' ? parsed : plain
  } catch {
    return plain
  }
}
