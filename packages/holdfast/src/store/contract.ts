/**
 * The contract of a driver: what a backend must do so that everything above it holds. A driver can be written from
 * this file alone; `storeSuite` of `holdfast/testing` checks every sentence of it.
 *
 * What a driver may rely on, because the guard in front of it sees to it:
 * - it is opened once, before any other call, and closed once, after the last;
 * - keys, labels, values, expiries and limits are checked; labels are in byte order, each once;
 * - no call has more than `capabilities.maxBatch` keys or operations, nor the same key twice;
 * - calls that need a capability which it does not declare never reach it.
 *
 * What holds for every call:
 * - `call.now` is the time. A driver never reads a clock of its own and never uses its server's to decide whether
 *   a record is live: live iff `now < expiresAt`.
 * - An answer says what is durably true, as far as `capabilities.durable` promises: it is given after the commit.
 * - "Not there" is a value. An error says that the store could not answer. A missing answer of one shard is never
 *   `undefined` or a shorter list: the call rejects with `PartialAnswer`.
 * - A definite failure, after which nothing was changed, is thrown as the coded error that fits (`StoreUnavailable`,
 *   `StoreFull`, `StoreReadOnly` …). When the request may have been carried out and its answer is missing, the
 *   driver throws `AnswerLost`; the guard takes every error that is not one of ours for that as well.
 * - Deadlocks, serialisation failures and a busy file are retried inside the driver, asynchronously, until
 *   `call.signal` aborts.
 * - What is passed in is not kept, and what is handed out may be kept by the caller: copy both ways.
 * - A driver whose answer is at hand may return it plainly instead of a promise.
 * - Drivers don't know tombstones: to them one is a record like any other.
 */

import type { Instant, Key, Label, StoredRecord, Version } from './record.ts'

/** A value, or a promise of it. */
export type Awaitable<T> = T | Promise<T>

/** What comes with every call. */
export interface Call {
  /** The time by the guard's clock, milliseconds since 1970 UTC. */
  readonly now: number
  /** Aborts when the deadline has passed or the caller gave up. Made on first use, so unused it costs nothing. */
  readonly signal: AbortSignal
}

/** What the store in front of us can do: found at open from the server's own settings, not assumed from its name. */
export interface Capabilities {
  /** What an acknowledged write survives. */
  readonly durable: {
    /** the end of this process */
    readonly process: boolean
    /** a power cut of the machine that holds the data */
    readonly machine: boolean
    /** the loss of that machine, with another taking over */
    readonly failover: boolean
  }
  /** Several processes may use it at once. */
  readonly shared: boolean
  /** `complete`: `list` finds every live record that carries the labels. `partial`: it may miss some. */
  readonly listing: 'complete' | 'partial' | 'none'
  /** `scan` works. */
  readonly scanning: boolean
  /** `count` works. */
  readonly counting: boolean
  /** `write` is all or none. */
  readonly atomicBatch: boolean
  /** Records and label index change in one step, so that a listing is never behind or ahead of the records. */
  readonly atomicLabels: boolean
  /** The server removes expired records on its own (after twice the margin), besides `sweep`. */
  readonly nativeExpiry: boolean
  /** `touch` does not rewrite the value. */
  readonly cheapTouch: boolean
  /** Reads that are not `strict` may be answered by a cache, no older than the stated bound. */
  readonly cached: boolean
  /** `watch` works, and tells of the changes of every process that uses the store. */
  readonly watch: boolean
  /** The most keys or operations in one call: the guard splits what may be split and refuses the rest. */
  readonly maxBatch: number
}

/** What `open` found out. */
export interface Opened {
  readonly capabilities: Capabilities
  /** The server's clock minus `call.now`, in milliseconds, where there is a server with a clock. */
  readonly skew?: number
  /** What was opened, for people: product, version, address without password. */
  readonly description: string
}

/**
 * `done`: it happened. `conflict`: a live record is in the way (create) or the version is another (replace, touch).
 * `gone`: no record, or an expired one.
 */
export type Outcome = 'done' | 'conflict' | 'gone'

/** A write of the whole record at a known version. */
export interface Replacement {
  readonly key: Key
  /** The version that the record must have now. */
  readonly expected: Version
  /** The version that it gets. */
  readonly version: Version
  readonly value: Uint8Array
  /** Missing: the record's labels and their index are left alone. Given: they become exactly these. */
  readonly labels?: readonly Label[]
  /** The greater of this and the stored one is kept, so that a save can't undo a touch … */
  readonly expiresAt: Instant
  /** … unless this is true: then it is set as given, also when it is earlier. */
  readonly setsExpiry: boolean
  /** The greater of this and the stored one is kept. */
  readonly touchedAt: number
  /** An expired record that is still there is replaced as well. Only burying uses it: room is reserved for that. */
  readonly expired: boolean
}

/** A prolongation that leaves value, labels and version alone. */
export interface Touch {
  readonly key: Key
  /** The version that the record must have. */
  readonly version: Version
  /** The greater of this and the stored one is kept: a touch never shortens. */
  readonly expiresAt: Instant
  /** The greater of this and the stored one is kept. */
  readonly touchedAt: number
}

/** One operation of a batch. */
export type Operation =
  | { readonly type: 'create'; readonly record: StoredRecord }
  | ({ readonly type: 'replace' } & Replacement)
  | ({ readonly type: 'touch' } & Touch)

/** The answer of a batch. */
export interface BatchOutcome {
  /** Whether the batch happened: true iff every outcome is `done`. */
  readonly applied: boolean
  /** Per operation, what it would have answered alone. */
  readonly outcomes: readonly Outcome[]
}

/**
 * Where the next page begins. Opaque to callers, and good for this store only: a driver throws `InvalidCursor` for one
 * that it did not make.
 */
export type Cursor = string

/** How to read. */
export interface ReadOptions {
  /** Also records that have expired and are still there. */
  readonly expired?: boolean
  /** From the truth, not from any cache. A driver over one server ignores it: all its reads are. */
  readonly strict?: boolean
}

/** What to list. */
export interface Listing {
  readonly collection: string
  /** All of them must match; none means the whole collection. */
  readonly labels: readonly Label[]
  /** The cursor that the page before ended with. */
  readonly after?: Cursor
  /** The most records to answer with, 1 to 1,000. */
  readonly limit: number
  /** false: the records come with empty values, which spares reading them. */
  readonly values: boolean
  /** Descending order of ids instead of ascending. */
  readonly reverse: boolean
  /** Also records that have expired and are still there. */
  readonly expired: boolean
}

/**
 * A page. It may be short, or empty, while there is a `next`: only a missing `next` is the end. The work for one
 * page is bounded, whatever else the store holds.
 */
export interface Page {
  readonly records: readonly StoredRecord[]
  readonly next?: Cursor
}

/** What to count. */
export interface Counting {
  readonly collection: string
  readonly labels: readonly Label[]
  /** Counting may stop here: the answer is at most this. */
  readonly atMost: number
}

/** Which part of the namespace to scan. */
export interface Slice {
  /** From 0 to `of` − 1. A record's slice is drawn from a digest of its key, so slices are even. */
  readonly index: number
  readonly of: number
  readonly after?: Cursor
  readonly limit: number
  /** Also records that have expired and are still there. */
  readonly expired: boolean
}

/** What to sweep. */
export interface Sweeping {
  /** Remove what expired at or before this. The guard passes the time minus the margin. */
  readonly before: number
  /** The most records to remove, 1 to 1,000. */
  readonly limit: number
  readonly after?: Cursor
}

/** One record that a sweep removed. */
export interface Swept {
  readonly key: Key
  readonly labels: readonly Label[]
  readonly expiresAt: Instant
}

/** What a sweep did. */
export interface SweptBatch {
  /** What it removed. No other sweep of the same records, in whatever process, answers with them too. */
  readonly removed: readonly Swept[]
  /** Where to go on; missing when nothing more had expired. */
  readonly next?: Cursor
}

/** What a watcher is told. */
export type Change =
  /** These records were created, replaced or removed, by whom ever. At least once, in no order between keys. */
  | { readonly type: 'changed'; readonly keys: readonly Key[] }
  /** Anything may have changed: something may have been missed. */
  | { readonly type: 'reset' }
  /** From now on nothing is told, until `restored`, which a `reset` follows. */
  | { readonly type: 'broken'; readonly cause: unknown }
  | { readonly type: 'restored' }

/** A running watch. */
export interface Watch {
  /**
   * Resolves when everything that was committed before this call has been told to the listener: an echo, not a
   * guess. Rejects when the feed is broken.
   */
  mark(): Awaitable<void>
  /** Ends the watch. */
  close(): Awaitable<void>
}

/**
 * What is made of a record: decoded and checked. It depends on the record alone, and nobody may change what it answers,
 * because a cache in the process keeps that and hands it out again. `undefined` is not an answer.
 */
export type View<T> = (record: StoredRecord) => T

/** A backend. Its factory wraps it in a guard and answers with a `Store`. */
export interface Driver {
  /**
   * Connects, migrates, asks the server for its settings. A failed open leaves nothing behind: it is tried again at the
   * next call, and `close` is not called for it.
   */
  open(call: Call): Awaitable<Opened>

  /** Stores the record where its key is free or holds an expired record, whose labels go with it. */
  create(record: StoredRecord, call: Call): Awaitable<'done' | 'conflict'>

  /** Replaces a live record (or an expired one, if `expired`) whose version is `expected`. Never brings anything back. */
  replace(replacement: Replacement, call: Call): Awaitable<Outcome>

  /** Prolongs live records at exactly the given versions. Keeps their versions; is not told to watchers. */
  touch(touches: readonly Touch[], call: Call): Awaitable<readonly Outcome[]>

  /** The records of the keys, in their order; `undefined` for what is not there. */
  read(
    keys: readonly Key[],
    options: Required<ReadOptions>,
    call: Call,
  ): Awaitable<readonly (StoredRecord | undefined)[]>

  /**
   * Only of a driver that holds its records in this process: what `view` makes of a live record, kept and answered
   * again as long as the record stays as it is; `undefined` where there is none.
   */
  view?<T>(key: Key, view: View<T>, now: number): T | undefined

  /** All or none of the operations, over any collections. Only with `atomicBatch`. */
  write(operations: readonly Operation[], call: Call): Awaitable<BatchOutcome>

  /**
   * A page of records in byte order of their ids. A record that carries the labels from before the first page until
   * after the last is returned exactly once; one that gains or loses them meanwhile, at most once.
   */
  list(listing: Listing, call: Call): Awaitable<Page>

  /** How many live records carry the labels. Only with `counting`. */
  count(counting: Counting, call: Call): Awaitable<number>

  /**
   * A page of one slice of everything in the namespace, in an order of the driver's own: for copying and preloading.
   * A record that is there throughout is returned exactly once. Holds no transaction between pages. Only with
   * `scanning`.
   */
  scan(slice: Slice, call: Call): Awaitable<Page>

  /**
   * Removes one bounded, committed batch of what has expired, re-checking in the removing statement. A driver with
   * `nativeExpiry` and without `scanning`, whose server can't tell what it drops, may leave that to the server: it
   * answers with nothing removed, and no `next`.
   */
  sweep(sweeping: Sweeping, call: Call): Awaitable<SweptBatch>

  /** Removes whatever the keys hold. For sweeping, transfer, and on a store in the role of a cache. */
  remove(keys: readonly Key[], call: Call): Awaitable<void>

  /** Tells of every create, replace, sweep and remove from now on. Only with `watch`. */
  watch(listener: (change: Change) => void, call: Call): Awaitable<Watch>

  /** Lets go of what `open` took: never of a client that was given. */
  close(): Awaitable<void>
}
