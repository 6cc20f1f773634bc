/**
 * Tells of changes by a change stream of the collection, whose events are of what most members have. The client comes
 * back from a lost connection where it left off, so nothing is missed; where it can't, the listener is told `broken`,
 * then, over a new stream, `restored` and `reset`.
 */

import { randomBytes } from 'node:crypto'
import { type Clock, systemClock } from '../../clock.ts'
import { StoreUnavailable } from '../../errors.ts'
import type { Call, Change, Watch } from '../../store/contract.ts'
import type { MongodbChangeStream } from './client.ts'
import { failure } from './failure.ts'
import { type Fields, keyOf } from './layout.ts'
import type { Records } from './records.ts'

/** Milliseconds after which a mark that doesn't come is given up. */
const patience = 5_000
/** Milliseconds that the server waits for a change before it says that there is none. */
const wait = 1_000
/** Milliseconds before another attempt to come back, doubled each time up to the longest. */
const firstPause = 100
const longestPause = 2_000
/** Milliseconds after which a mark that nobody removed is purged. */
const markLife = 86_400_000

/** Nothing of the values: keys, and whether a version was written. */
const pipeline = [
  { $project: { operationType: 1, documentKey: 1, 'updateDescription.updatedFields.version': 1 } },
]

/** Told when a mark has come, or never will. */
interface Waiting {
  readonly resolve: () => void
  readonly reject: (cause: Error) => void
}

export class Feed implements Watch {
  readonly #records: Records
  readonly #clock: Clock
  readonly #call: Call
  readonly #listener: (change: Change) => void
  /** What the documents that are this feed's marks begin with. No collection begins with such a character. */
  readonly #marks = `#${randomBytes(9).toString('base64url')}.`
  readonly #waiting = new Map<string, Waiting>()
  #stream: MongodbChangeStream | undefined
  #lastMark = 0
  readonly #closing = new AbortController()

  /** @param call What the marks are written with: its signal must outlive the call that began the watch. */
  constructor(records: Records, clock: Clock, call: Call, listener: (change: Change) => void) {
    this.#records = records
    this.#clock = clock
    this.#call = call
    this.#listener = listener
  }

  /** Resolves when the stream stands: everything from then on is told. @throws {StoreUnavailable} */
  async start(): Promise<void> {
    const stream = await this.#opened()
    void this.#follow(stream)
  }

  /** Stores a document, and waits until it has come back: what was committed before it has come before it. */
  async mark(): Promise<void> {
    if (!this.#stream) throw new StoreUnavailable('the feed of changes is broken')
    const _id = `${this.#marks}${++this.#lastMark}`
    let cancel = (): void => undefined
    const seen = new Promise<void>((resolve, reject) => {
      this.#waiting.set(_id, { resolve, reject })
      cancel = systemClock.timer(patience, () => {
        reject(new StoreUnavailable(`the feed of changes did not echo within ${patience} ms`))
      })
    })
    try {
      const purgeAt = new Date(this.#call.now + markLife)
      await Promise.all([this.#records.insert({ _id, purgeAt }, this.#call), seen])
    } finally {
      cancel()
      this.#waiting.delete(_id)
      // Nobody waits for it, and what stays is purged.
      void this.#records.remove({ _id }, this.#call).catch(() => undefined)
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#giveUp(new StoreUnavailable('the watch was closed'))
    await this.#drop()
  }

  async #opened(): Promise<MongodbChangeStream> {
    const collection = this.#records.source.database().collection(this.#records.name)
    const stream = collection.watch(pipeline, {
      readPreference: 'primary',
      readConcern: { level: 'majority' },
      maxAwaitTimeMS: wait,
      promoteValues: true,
      useBigInt64: false,
      raw: false,
    })
    try {
      // The first answer says that the stream stands.
      const change = await stream.tryNext()
      // Closed meanwhile: nobody else would close what stands now.
      if (this.#isClosed()) throw new StoreUnavailable('the watch was closed')
      this.#stream = stream
      if (change) this.#hear(change)
      return stream
    } catch (error) {
      await stream.close().catch(() => undefined)
      throw failure(error)
    }
  }

  async #follow(first: MongodbChangeStream): Promise<void> {
    let stream = first
    while (!this.#isClosed()) {
      try {
        const change = await stream.tryNext()
        if (change) this.#hear(change)
        // The collection was dropped, and with it the stream.
        if (change?.['operationType'] === 'invalidate')
          throw new StoreUnavailable('the change stream has ended')
      } catch (cause) {
        const restored = await this.#restored(cause)
        if (!restored) return
        stream = restored
      }
    }
  }

  /** A new stream, after a failure that the client could not mend. Changes may have been missed. */
  async #restored(cause: unknown): Promise<MongodbChangeStream | undefined> {
    if (this.#isClosed()) return undefined
    const broken = new StoreUnavailable('the feed of changes is broken', { cause })
    await this.#drop()
    this.#giveUp(broken)
    this.#listener({ type: 'broken', cause: broken })
    for (let pause = firstPause; !this.#isClosed(); pause = Math.min(2 * pause, longestPause)) {
      try {
        const stream = await this.#opened()
        this.#listener({ type: 'restored' })
        this.#listener({ type: 'reset' })
        return stream
      } catch {
        await this.#clock.sleep(pause)
      }
    }
    return undefined
  }

  #hear({ operationType, documentKey, updateDescription }: Fields): void {
    const { _id } = (documentKey ?? {}) as Fields
    // Without a document: the collection was dropped or renamed, so everything may have changed.
    if (_id === undefined) this.#listener({ type: 'reset' })
    else if (typeof _id === 'string' && _id.startsWith(this.#marks)) this.#waiting.get(_id)?.resolve()
    else {
      const key = keyOf(_id)
      const isTouch = operationType === 'update' && !isNewVersion(updateDescription)
      if (key && !isTouch) this.#listener({ type: 'changed', keys: [key] })
    }
  }

  #isClosed(): boolean {
    return this.#closing.signal.aborted
  }

  #giveUp(cause: Error): void {
    for (const { reject } of this.#waiting.values()) reject(cause)
    this.#waiting.clear()
  }

  async #drop(): Promise<void> {
    const stream = this.#stream
    this.#stream = undefined
    await stream?.close().catch(() => undefined)
  }
}

/** A touch writes times only, and is not told. */
function isNewVersion(description: unknown): boolean {
  const { updatedFields } = (description ?? {}) as Fields
  return ((updatedFields ?? {}) as Fields)['version'] !== undefined
}
