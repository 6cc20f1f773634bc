/** The collection of a namespace: each method is one command, with the same care for what is read and written. */

import type { Clock } from '../../clock.ts'
import { AnswerLost, StoreMisconfigured } from '../../errors.ts'
import type { Call } from '../../store/contract.ts'
import { type MongodbSession, send, type Source } from './client.ts'
import { codeOf, NotPrimary, refusal } from './failure.ts'
import type { Fields, Index } from './layout.ts'

/** What to find. */
export interface Search {
  readonly filter: Fields
  readonly sort?: Fields
  /** The index that leads, where there is a choice: what a page costs must not depend on the server's guess. */
  readonly hint?: Index
  readonly limit: number
  readonly projection: Fields
}

/** How often a command goes to a server that turns out not to be the primary: an election takes a moment. */
const mostAttempts = 5
/** Milliseconds before it is sent again; doubled each time. */
const firstPause = 100
const duplicateKey = 11_000

/** How the commands of one namespace reach the server. */
export class Records {
  readonly source: Source
  readonly #name: string
  readonly #clock: Clock
  /** Milliseconds that the server may take to answer. */
  readonly #patience: number
  #isReplicated = false

  constructor(source: Source, name: string, clock: Clock, patience: number) {
    this.source = source
    this.#name = name
    this.#clock = clock
    this.#patience = patience
  }

  /** The collection's name, for commands. */
  get name(): string {
    return this.#name
  }

  /** Reads of a replica set are of what most members have: what can't be undone by a fail-over. */
  set isReplicated(is: boolean) {
    this.#isReplicated = is
  }

  /** Stores a new document; false when its `_id` is taken. */
  async insert(document: Fields, call: Call, session?: MongodbSession): Promise<boolean> {
    const reply = await this.#write({ insert: this.#name, documents: [document] }, call, session)
    const [failed] = reply.failed
    if (!failed) return true
    if (codeOf(failed) === duplicateKey) return false
    throw this.#failure(failed)
  }

  /** Changes the one document that the filter matches; false when it matches none. */
  async update(filter: Fields, change: Fields, call: Call, session?: MongodbSession): Promise<boolean> {
    const updates = [{ q: filter, u: change, multi: false, upsert: false }]
    return (await this.#changed({ update: this.#name, updates }, call, session)) > 0
  }

  /** Removes one document; false when the filter matches none. */
  async remove(filter: Fields, call: Call): Promise<boolean> {
    return (await this.#changed({ delete: this.#name, deletes: [{ q: filter, limit: 1 }] }, call)) > 0
  }

  /** Removes all documents that the filter matches. */
  async removeAll(filter: Fields, call: Call): Promise<void> {
    await this.#changed({ delete: this.#name, deletes: [{ q: filter, limit: 0 }] }, call)
  }

  /**
   * One reply, so that no cursor stays open on a server that may be gone with the next page. A reply ends at 16 MiB, so
   * who reads values has to ask {@link isCut}.
   */
  async find(search: Search, call: Call, session?: MongodbSession): Promise<readonly Fields[]> {
    const command = { find: this.#name, singleBatch: true, batchSize: search.limit, ...search }
    return batchOf(await this.#read(command, call, session))
  }

  /** How many documents match, counted no further than `atMost`. */
  async count(filter: Fields, hint: Index, atMost: number, call: Call): Promise<number> {
    const pipeline = [{ $match: filter }, { $limit: atMost }, { $count: 'n' }]
    const [row] = batchOf(await this.#read({ aggregate: this.#name, pipeline, hint, cursor: {} }, call))
    return typeof row?.['n'] === 'number' ? row['n'] : 0
  }

  async #changed(command: Fields, call: Call, session?: MongodbSession): Promise<number> {
    const { failed, n } = await this.#write(command, call, session)
    if (failed[0]) throw this.#failure(failed[0])
    return n
  }

  async #write(
    command: Fields,
    call: Call,
    session?: MongodbSession,
  ): Promise<{ readonly n: number; readonly failed: readonly Fields[] }> {
    // A transaction has one concern for all of it.
    const writeConcern = { w: 'majority', j: true, wtimeout: this.#patience }
    const { n, writeErrors, writeConcernError } = await this.#sent(
      session ? command : { ...command, writeConcern },
      call,
      session,
    )
    if (writeConcernError) {
      const { errmsg } = writeConcernError as Fields
      throw new AnswerLost(`MongoDB did not confirm the write: ${String(errmsg)}`)
    }
    if (typeof n !== 'number') throw new AnswerLost('MongoDB answered a write without saying what it did')
    return { n, failed: Array.isArray(writeErrors) ? (writeErrors as readonly Fields[]) : [] }
  }

  async #read(command: Fields, call: Call, session?: MongodbSession): Promise<Fields> {
    const concern = this.#isReplicated && !session ? { readConcern: { level: 'majority' } } : {}
    return await this.#sent({ ...command, ...concern, maxTimeMS: this.#patience }, call, session)
  }

  /** A refusal by a server that isn't the primary changed nothing: the client looks for the new one meanwhile. */
  async #sent(command: Fields, call: Call, session?: MongodbSession): Promise<Fields> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await send(this.source, command, call, session)
      } catch (error) {
        const isOver = attempt === mostAttempts || session !== undefined || call.signal.aborted
        if (!(error instanceof NotPrimary) || isOver) throw error
      }
      await this.#clock.sleep(firstPause * 2 ** (attempt - 1))
    }
  }

  #failure(failed: Fields): Error {
    const { code, errmsg } = failed
    const message = String(errmsg)
    return (
      refusal(typeof code === 'number' ? code : undefined, message) ??
      new AnswerLost(`MongoDB failed to write: ${message}`)
    )
  }
}

/** The documents of a reply with a cursor. */
export function batchOf(reply: Fields): readonly Fields[] {
  const { firstBatch } = (reply['cursor'] ?? {}) as Fields
  if (Array.isArray(firstBatch)) return firstBatch as readonly Fields[]
  throw new StoreMisconfigured('the server answered in a way that MongoDB does not')
}

/** Bytes of values from which on a reply may have been cut at its 16 MiB: the rest of a thousand records is less. */
const mayBeCut = 8 * 1024 * 1024

/** Whether a reply with these values may have ended before it was complete. */
export function isCut(records: readonly { readonly value: Uint8Array }[]): boolean {
  let bytes = 0
  for (const { value } of records) bytes += value.byteLength
  return bytes >= mayBeCut
}
