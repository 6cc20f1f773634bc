/**
 * Copying all sessions of another library at once, while nobody uses either: for who would rather not have a reader in
 * the application. What is in the target is left as it is, alive or destroyed; so it can be run again.
 */

import { TransferMismatch } from '../errors.ts'
import type { Awaitable } from '../store/contract.ts'
import type { Store } from '../store/store.ts'
import { copyName, Journal } from '../store/transfer/journal.ts'
import type { OldData, OldPage, OldSession, OldSessions } from './old-sessions.ts'

/** Where sessions are copied to: what `KeyedSessions` of `holdfast` does, as far as it is needed. */
export interface OldSessionTarget {
  readonly store: Store
  /** The public id under which the session of a secret one is kept. */
  idOf(sid: string): string
  /** The session; taken over from the reader that it was made with where there is none. */
  read(
    sid: string,
    options?: { readonly strict?: boolean },
  ): Awaitable<{ readonly data: OldData } | undefined>
}

/** Settings of a copy. */
export interface CopyOldOptions {
  /** The collection that the target keeps sessions in. @default 'sessions' */
  readonly collection?: string
  /** What this copy is called: one of the same name goes on. @default the source's description */
  readonly name?: string
  /** Begins anew, whatever an earlier run has done. @default false */
  readonly restart?: boolean
  /** Sessions per page, 1 to 1,000. @default 200 */
  readonly page?: number
  /** Stops between two pages. The same copy can be run again. */
  readonly signal?: AbortSignal
  /** Told after each page. */
  readonly onProgress?: (progress: CopyOldProgress) => void
}

/** How far a copy is. */
export interface CopyOldProgress {
  readonly phase: 'copying' | 'verifying'
  /** Sessions dealt with in this phase. */
  readonly records: number
  /** How many there seem to be; missing where the source can't tell. */
  readonly estimate?: number
}

/** What a copy did. */
export interface CopiedSessions {
  /** How many live sessions the source has, counted when all was read back. Each has its record in the target. */
  readonly sessions: number
  /** Of these, created by this run. */
  readonly created: number
  /** In the target before, alive or destroyed, and left as they were. */
  readonly present: number
  /** Not taken over: everything of their user was revoked in the target. */
  readonly refused: number
  /** Live in the target with other data than in the source: they were used there since. */
  readonly changed: number
  /** Whether it went on with what an earlier run had begun. */
  readonly resumed: boolean
}

/** Sessions that are stored at once. */
const lanes = 16
/** Ids that an error names. */
const named = 3

/**
 * Copies all live sessions, then reads every one of them back.
 *
 * @param to Makes the target over a reader: `(old) => new KeyedSessions(store, { old })`.
 * @throws {TransferMismatch} when one is not in the target afterwards: somebody used the source meanwhile.
 * @throws {NotSupported} when the source can't be scanned.
 */
export async function copyOldSessions(
  from: OldSessions,
  to: (old: Pick<OldSessions, 'description' | 'read' | 'remove'>) => OldSessionTarget,
  options: CopyOldOptions = {},
): Promise<CopiedSessions> {
  return await new Copying(from, to, options).run()
}

class Copying {
  readonly #from: OldSessions
  readonly #to: OldSessionTarget
  readonly #options: CopyOldOptions
  readonly #collection: string
  /** The page that is being copied: the target reads from here, and nothing is removed from the source. */
  #page: ReadonlyMap<string, OldSession> = new Map()
  #estimate: number | undefined
  #created = 0
  #present = 0
  #refused = 0
  #changed = 0

  constructor(
    from: OldSessions,
    to: (old: Pick<OldSessions, 'description' | 'read' | 'remove'>) => OldSessionTarget,
    options: CopyOldOptions,
  ) {
    this.#from = from
    this.#options = options
    this.#collection = options.collection ?? 'sessions'
    this.#to = to({
      description: from.description,
      read: (sid) => Promise.resolve(this.#page.get(sid)),
      remove: () => Promise.resolve(),
    })
  }

  async run(): Promise<CopiedSessions> {
    const { name = this.#from.description, restart = false } = this.#options
    // An estimate must not make a copy fail: then there is none.
    this.#estimate = await this.#from.count().catch(() => undefined)
    const journal = await Journal.open(this.#to.store, copyName(`old sessions\n${name}`), 1, restart)
    try {
      await this.#copy(journal)
    } catch (error) {
      // The cause matters, not whether this worked too.
      await journal.save().catch(() => undefined)
      throw error
    }
    const sessions = await this.#verified(journal)
    await journal.remove()
    return {
      sessions,
      created: this.#created,
      present: this.#present,
      refused: this.#refused,
      changed: this.#changed,
      resumed: journal.resumed,
    }
  }

  async #copy(journal: Journal): Promise<void> {
    const slice = journal.take()
    if (!slice) return
    let seen = slice.place.seen
    for await (const { sessions, next, resume } of this.#pages(slice.place.after)) {
      await this.#store(sessions)
      seen += sessions.length
      this.#tell('copying', seen)
      if (next === undefined) await journal.advance(slice.index, { seen })
      else if (resume !== undefined) await journal.advance(slice.index, { after: resume, seen })
    }
  }

  async #store(sessions: readonly OldSession[]): Promise<void> {
    this.#page = new Map(sessions.map((each) => [each.sid, each]))
    const sids = [...this.#page.keys()]
    const there = await this.#records(sids)
    const missing = sids.filter((_, i) => there[i] === undefined)
    this.#present += sids.length - missing.length
    await inLanes(missing, async (sid) => {
      if (await this.#to.read(sid, { strict: true })) this.#created++
      else this.#refused++
    })
  }

  async #verified(journal: Journal): Promise<number> {
    const found = new Set<string>()
    const absent: string[] = []
    this.#page = new Map()
    for await (const { sessions } of this.#pages(undefined)) {
      const there = await this.#records(sessions.map(({ sid }) => sid))
      for (const [i, session] of sessions.entries()) {
        const id = this.#to.idOf(session.sid)
        if (!there[i]) absent.push(id)
        else if (!found.has(id)) await this.#compare(session)
        found.add(id)
      }
      this.#tell('verifying', found.size)
    }
    if (absent.length === 0) return found.size
    // What was copied can't be relied on, so the next run looks at everything again.
    await journal.remove()
    throw new TransferMismatch(
      `${absent.length} sessions of ${this.#from.description} are not in the target, such as ` +
        `${absent.slice(0, named).join(', ')}: stop all that uses the source, and copy again`,
    )
  }

  async #compare({ sid, data, cookie }: OldSession): Promise<void> {
    const kept = await this.#to.read(sid)
    // As JSON, for that is what both are, however deep.
    const isSame = JSON.stringify(kept?.data) === JSON.stringify(cookie ? { ...data, cookie } : data)
    if (kept && !isSame) this.#changed++
  }

  /** What the target holds under these ids, tombstones and the expired too. */
  async #records(sids: readonly string[]) {
    const keys = sids.map((sid) => ({ collection: this.#collection, id: this.#to.idOf(sid) }))
    return keys.length === 0 ? [] : await this.#to.store.readMany(keys, { strict: true, expired: true })
  }

  async *#pages(start: string | undefined): AsyncGenerator<OldPage> {
    const { page = 200, signal } = this.#options
    let after = start
    do {
      signal?.throwIfAborted()
      const found: OldPage = await this.#from.scan({ limit: page, ...(after === undefined ? {} : { after }) })
      yield found
      after = found.next
    } while (after !== undefined)
  }

  #tell(phase: CopyOldProgress['phase'], records: number): void {
    const estimate = this.#estimate
    this.#options.onProgress?.({
      phase,
      records,
      ...(estimate === undefined ? {} : { estimate: Math.max(estimate, records) }),
    })
  }
}

/** Works on several at once. What is under way is waited for, also when one has failed. */
async function inLanes(sids: readonly string[], work: (sid: string) => Promise<void>): Promise<void> {
  const left = sids.values()
  let failed = false
  const lane = async (): Promise<void> => {
    for (const sid of left) {
      if (failed) return
      try {
        await work(sid)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  const ended = await Promise.allSettled(Array.from({ length: lanes }, lane))
  const failure = ended.find((each) => each.status === 'rejected')
  if (failure) throw failure.reason
}
