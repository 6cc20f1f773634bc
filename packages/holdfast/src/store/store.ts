/**
 * What a driver's factory answers with, and what everything above the stores uses: the driver's operations, with
 * versions drawn, input checked, batches split, deadlines kept and lost answers settled. `guard.ts` makes one of a
 * driver; a tier makes one of two.
 */

import type { Clock } from '../clock.ts'
import type { Duration } from '../duration.ts'
import type { CircuitFigures } from './circuit.ts'
import type { Codec } from './codec.ts'
import type {
  Awaitable,
  Capabilities,
  Change,
  Cursor,
  Opened,
  Outcome,
  Page,
  ReadOptions,
  SweptBatch,
  View,
  Watch,
} from './contract.ts'
import type { Instant, Key, Label, StoredRecord, Version } from './record.ts'

/** Settings that every store takes. */
export interface StoreOptions {
  /** Keeps several applications on one server apart: `[a-z][a-z0-9-]{0,31}`. @default 'holdfast' */
  readonly namespace?: string
  /** How values become bytes. @default plain JSON */
  readonly codec?: Codec
  /** Where the time comes from. @default the system's clock */
  readonly clock?: Clock
  /** How long one call may take, all its attempts together. @default '5s' */
  readonly deadline?: Duration
  /** How long the expired are kept before they are swept; a greater clock skew is refused. @default '1h' */
  readonly margin?: Duration
  /** The longest value, in bytes; at most 512 KiB. @default 65536 */
  readonly maxValue?: number
  /**
   * Leaves the store alone while it is down: after a second without a success, and five failures, calls are refused
   * at once, and one of them tries the store every 100 ms to 2 s. false: every call asks the store. @default true
   */
  readonly circuit?: boolean
}

/** How the connection to a server is secured: what Node.js's `tls.connect` takes, as far as it is needed here. */
export interface TlsOptions {
  /** The authorities to trust, in PEM. @default those of Node.js */
  readonly ca?: string | Uint8Array | readonly (string | Uint8Array)[]
  /** The client's certificate, in PEM. */
  readonly cert?: string | Uint8Array
  /** The key of the client's certificate, in PEM. */
  readonly key?: string | Uint8Array
  /** What the key is encrypted with. */
  readonly passphrase?: string
  /** The name that the server's certificate must have. @default the host's */
  readonly servername?: string
  /** false accepts whoever answers: the connection is secret, but nobody knows with whom. @default true */
  readonly rejectUnauthorized?: boolean
}

/** Settings of a store that makes its own client from a URL. */
export interface OpenOptions extends StoreOptions {
  /** With TLS, settled as given here besides what the URL says. Refused by stores without a server. */
  readonly tls?: TlsOptions
}

/** Settings of one call. */
export interface CallOptions {
  /** Gives up waiting for what only reads. A write heeds it before it is sent and never afterwards. */
  readonly signal?: AbortSignal
  /** Creates and replaces are sent once: where the answer is lost it is `unknown`, and isn't settled. @default false */
  readonly once?: boolean
}

/** A record to be created. */
export interface Draft {
  readonly key: Key
  readonly value: Uint8Array
  /** @default [] */
  readonly labels?: readonly Label[]
  readonly expiresAt: Instant
  /** @default now */
  readonly touchedAt?: number
}

/** A record to be replaced. Fields as in the contract's `Replacement`, with its defaults. */
export interface Rewrite {
  readonly key: Key
  readonly expected: Version
  readonly value: Uint8Array
  /** Missing: left alone. */
  readonly labels?: readonly Label[]
  readonly expiresAt: Instant
  /** @default false: the later of this and the stored expiry is kept */
  readonly setsExpiry?: boolean
  /** @default now */
  readonly touchedAt?: number
  /** @default false */
  readonly expired?: boolean
}

/** A prolongation. */
export interface Prolongation {
  readonly key: Key
  readonly version: Version
  readonly expiresAt: Instant
  /** @default now */
  readonly touchedAt?: number
}

/** What became of a touch that may wait: its outcome where it did not have to, else the promise of it. */
export type Deferred = Outcome | { readonly coming: Promise<Outcome> }

/**
 * What became of a write. `unknown`: its answer was lost, and the record has changed since in a way that hides
 * whether it happened; read again, and repeat only what may happen twice.
 */
export type Written =
  | { readonly status: 'done'; readonly version: Version }
  | { readonly status: 'conflict' | 'gone' | 'unknown' }

/** One write of a batch. */
export type BatchItem =
  | ({ readonly type: 'create' } & Draft)
  | ({ readonly type: 'replace' } & Rewrite)
  | ({ readonly type: 'touch' } & Prolongation)

/** What became of a batch. */
export type BatchWritten =
  | { readonly status: 'done'; readonly versions: readonly Version[] }
  | { readonly status: 'refused'; readonly outcomes: readonly Outcome[] }
  | { readonly status: 'unknown' }

/** What to list: the contract's `Listing` with defaults. */
export interface ListOptions extends CallOptions {
  /** All of them must match. @default [] */
  readonly labels?: readonly Label[]
  readonly after?: Cursor
  /** 1 to 1,000. @default 100 */
  readonly limit?: number
  /** @default true */
  readonly values?: boolean
  /** @default false */
  readonly reverse?: boolean
  /** @default false */
  readonly expired?: boolean
}

/** How often an operation was called and how long it took. */
export interface OperationFigures {
  readonly calls: number
  readonly errors: number
  /** Milliseconds in all. */
  readonly totalMs: number
  /** Milliseconds of the slowest. */
  readonly maxMs: number
}

/** How a feed is. */
export interface FeedFigures {
  /** `none`: the store has no feed. `starting`: it isn't heard yet. `broken`: it was lost and is not back yet. */
  readonly state: 'none' | 'starting' | 'live' | 'broken'
  /** Milliseconds from asking for the last echo to hearing it. */
  readonly lagMs: number
  /** How often it was lost, or told that something may have been missed. */
  readonly resets: number
}

/** How the touches are that are written behind. */
export interface TouchFigures {
  /** Records whose touches wait to be written. */
  readonly waiting: number
  /** Callers that wait because the queue is full: the store can't keep up. */
  readonly outside: number
  readonly written: number
  readonly failed: number
  /** How often a caller found the queue full. */
  readonly stalled: number
}

/** What a tier counts about itself; `touches` where it writes them behind. */
export type TierFigures = { readonly touches?: TouchFigures } & (
  | {
      readonly kind: 'process'
      readonly hits: number
      readonly misses: number
      /** Records that were read and not kept, because they were changed meanwhile. */
      readonly spoiled: number
      readonly entries: number
      /** Estimated. */
      readonly bytes: number
      readonly feed: FeedFigures
    }
  | {
      readonly kind: 'shared'
      readonly hits: number
      readonly misses: number
      readonly fills: number
      /** Fills that came too late: the record was changed meanwhile. */
      readonly refused: number
      /** Calls to the cache that failed or took too long. */
      readonly errors: number
      readonly operations: Readonly<Record<string, OperationFigures>>
      readonly circuit: CircuitFigures
    }
)

/** What a store counts about itself. */
export interface StoreFigures {
  /** Per operation of the driver, since the store was made. */
  readonly operations: Readonly<Record<string, OperationFigures>>
  /** Whether calls go through or are refused at once because the store is down. */
  readonly circuit: CircuitFigures
  /** Of a store that has tiers, from the top; what stands above is of the truth then. */
  readonly tiers?: readonly TierFigures[]
}

/** A store, ready to use. */
export interface Store {
  readonly namespace: string
  readonly clock: Clock
  readonly codec: Codec
  /** Milliseconds that the expired are kept before they are swept. */
  readonly margin: number
  /** The longest value, in bytes. */
  readonly maxValue: number
  /** Milliseconds that one call may take. */
  readonly deadline: number
  /** Opens the store if it isn't open yet, and tells what it is and can do. Every other call does so too. */
  open(): Promise<Opened>
  /** What it can do. @throws {TypeError} before it was opened. */
  readonly capabilities: Capabilities

  create(draft: Draft, options?: CallOptions): Promise<Written>
  replace(rewrite: Rewrite, options?: CallOptions): Promise<Written>
  /** After a lost answer a touch is sent again; `conflict` or `gone` may then be told of one that happened at first. */
  touch(prolongations: readonly Prolongation[], options?: CallOptions): Promise<readonly Outcome[]>
  /**
   * A touch that may wait for others, to be written with them: a tier that was told to gathers them. Resolves when it
   * is taken, not when it is written; a store that gathers none writes it at once.
   *
   * @param by When the record would expire if it were not touched: it is written before that.
   */
  touchBehind(prolongation: Prolongation, by: Instant): Promise<Deferred>
  /** One record; like `readMany` with one key. */
  read(key: Key, options?: ReadOptions & CallOptions): Awaitable<StoredRecord | undefined>
  readMany(
    keys: readonly Key[],
    options?: ReadOptions & CallOptions,
  ): Promise<readonly (StoredRecord | undefined)[]>
  /** One record, as `view` shows it; what `view` throws is thrown. A cache in the process keeps what was made of it. */
  view<T>(key: Key, view: View<T>, options?: ReadOptions & CallOptions): Awaitable<T | undefined>
  /**
   * Resolves when no cache, in whatever process, can answer with what was true of these keys before the call. Without
   * it a cache may do so until its bound has passed. Whoever ends something waits for this before he says so. Without
   * caches there is nothing to wait for.
   *
   * @param keys None: of any key, where it can't be told which they are.
   */
  invalidate(keys: readonly Key[]): Promise<void>
  write(items: readonly BatchItem[], options?: CallOptions): Promise<BatchWritten>
  list(collection: string, options?: ListOptions): Promise<Page>
  count(
    collection: string,
    options?: CallOptions & { readonly labels?: readonly Label[]; readonly atMost?: number },
  ): Promise<number>
  scan(
    slice: {
      readonly index: number
      readonly of: number
      readonly after?: Cursor
      readonly limit?: number
      readonly expired?: boolean
    },
    options?: CallOptions,
  ): Promise<Page>
  /** Removes one batch of what expired longer than the margin ago. `sweepAll` does all of them. */
  sweep(
    options?: CallOptions & { readonly limit?: number; readonly after?: Cursor; readonly before?: number },
  ): Promise<SweptBatch>
  /** Removes without asking. Only for transfer and for a store in the role of a cache: `destroy` and `revoke` bury. */
  remove(keys: readonly Key[], options?: CallOptions): Promise<void>
  watch(listener: (change: Change) => void, options?: CallOptions): Promise<Watch>

  /** For metrics: calls, errors and times, and the state of the circuit. */
  figures(): StoreFigures
  /** Waits for what is under way, then closes. Later calls are refused with `StoreClosed`. */
  close(): Promise<void>
}
