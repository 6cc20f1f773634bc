/**
 * Watching: the change log is looked at whenever a notification comes, every half second all the same, and at a mark.
 * The connection that listens is only there for speed: when it is lost, changes are told later, and it is made anew.
 */

import { systemClock } from '../../clock.ts'
import { StoreUnavailable } from '../../errors.ts'
import type { Change, Watch } from '../../store/contract.ts'
import type { ChangeReader, Position } from './change-log.ts'
import type { Listening, PostgresDatabase } from './client.ts'
import { failure } from './failure.ts'

/** Milliseconds between two looks when nothing wakes the feed. */
const lookEvery = 500
/** Milliseconds between two looks however often it is woken. */
const restFor = 10
/** Milliseconds after which a look that isn't answered is given up. */
const patience = 5_000
/** Milliseconds before the first attempt to come back; doubled for each further one. */
const firstPause = 50
const longestPause = 2_000

type Listener = (change: Change) => void

/** One look at the log that is still to begin: whoever asks for one before then shares it. */
interface NextLook {
  readonly done: Promise<void>
}

export class Feed {
  readonly #database: PostgresDatabase
  readonly #reader: ChangeReader
  readonly #channel: string
  readonly #listens: boolean
  readonly #listeners = new Set<Listener>()
  /** Counts the starts and ends, so that what is left of an earlier life does nothing in a later one. */
  #life = 0
  #position: Position | undefined
  #starting: Promise<void> | undefined
  #looking: Promise<void> = Promise.resolve()
  #next: NextLook | undefined
  #cancelTimer: (() => void) | undefined
  #isSoon = false
  #listening: Listening | undefined
  /** The life in which a connection to listen on is being looked for: one is enough, and one too many is never closed. */
  #seeking: number | undefined
  #isBroken = false
  #pause = firstPause

  /** @param listens Whether to be woken by notifications; otherwise only the clock wakes. */
  constructor(database: PostgresDatabase, reader: ChangeReader, channel: string, listens: boolean) {
    this.#database = database
    this.#reader = reader
    this.#channel = channel
    this.#listens = listens && database.listens
  }

  /** Starts telling `listener` of every change from now on. @throws {StoreUnavailable} */
  async watch(listener: Listener): Promise<Watch> {
    // A function of its own for each watch, so that one listener may watch twice.
    const told: Listener = (change) => {
      listener(change)
    }
    if (this.#listeners.size === 0 && !this.#starting) {
      this.#starting = this.#start().finally(() => (this.#starting = undefined))
    }
    await this.#starting
    this.#listeners.add(told)
    return {
      mark: () => this.#mark(),
      close: () => {
        this.#listeners.delete(told)
        if (this.#listeners.size === 0) this.close()
      },
    }
  }

  /** Ends all watches. */
  close(): void {
    this.#life++
    this.#listeners.clear()
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.#listening?.close()
    this.#listening = undefined
    this.#position = undefined
    this.#next = undefined
    this.#isBroken = false
  }

  async #start(): Promise<void> {
    const life = ++this.#life
    const position = await inTime(this.#reader.begin())
    // Closed meanwhile: a connection that began to listen now would be closed by nobody.
    if (life !== this.#life) throw new StoreUnavailable('the watch was closed')
    this.#position = position
    this.#pause = firstPause
    this.#lookIn(lookEvery)
    void this.#listen(life)
  }

  /** Resolves when a look that began after this call has been told. */
  async #mark(): Promise<void> {
    if (this.#listeners.size === 0) throw new StoreUnavailable('the watch was closed')
    await this.#look()
    if (this.#isBroken) throw new StoreUnavailable('the feed of changes is broken')
  }

  /** Looks once what is under way is over; everybody who asks until then gets the same look. */
  #look(): Promise<void> {
    if (!this.#next) {
      const life = this.#life
      const done = this.#looking.then(async () => {
        this.#next = undefined
        if (life === this.#life) await this.#lookNow(life)
      })
      this.#next = { done }
      this.#looking = done
    }
    return this.#next.done
  }

  /** Never rejects: a failure breaks the feed until it is over. */
  async #lookNow(life: number): Promise<void> {
    const position = this.#position
    if (!position) return
    let change: Change | undefined
    try {
      const look = await inTime(this.#reader.since(position))
      if (life !== this.#life) return
      this.#position = look.position
      if (!look.keys) change = { type: 'reset' }
      else if (look.keys.length > 0) change = { type: 'changed', keys: look.keys }
    } catch (error) {
      if (life === this.#life) this.#break(error)
      return
    }
    const wasBroken = this.#mend()
    if (change && !(wasBroken && change.type === 'reset')) this.#tell(change)
    this.#lookIn(lookEvery)
  }

  #break(error: unknown): void {
    this.#pause = Math.min(this.#pause * 2, longestPause)
    this.#lookIn(this.#pause)
    if (this.#isBroken) return
    this.#isBroken = true
    this.#tell({ type: 'broken', cause: failure(error) })
  }

  /**
   * Tells that the feed is back, and whether it was broken. Where the position has outlived the break nothing was
   * missed; the watchers are to start anew all the same.
   */
  #mend(): boolean {
    this.#pause = firstPause
    if (!this.#isBroken) return false
    this.#isBroken = false
    this.#tell({ type: 'restored' })
    this.#tell({ type: 'reset' })
    void this.#listen(this.#life)
    return true
  }

  #tell(change: Change): void {
    for (const listener of [...this.#listeners]) listener(change)
  }

  /** A wake: looks soon, but no more often than the rest allows. */
  #wake(life: number): void {
    if (life !== this.#life || this.#isSoon || this.#isBroken) return
    this.#lookIn(restFor)
    this.#isSoon = true
  }

  #lookIn(ms: number): void {
    this.#cancelTimer?.()
    this.#isSoon = false
    this.#cancelTimer = systemClock.timer(ms, () => {
      this.#isSoon = false
      void this.#look()
    })
  }

  /** Listens, and goes on trying as long as somebody watches. */
  async #listen(life: number): Promise<void> {
    if (!this.#listens || this.#listening || this.#seeking === life) return
    this.#seeking = life
    await this.#seek(life)
    if (life !== this.#life) return
    this.#seeking = undefined
    // It may have been lost before it was noted that the search is over.
    if (!this.#isListening) void this.#listen(life)
  }

  get #isListening(): boolean {
    return this.#listening !== undefined
  }

  async #seek(life: number): Promise<void> {
    let pause = firstPause
    while (life === this.#life && !this.#listening) {
      try {
        const listening = await this.#database.listen(
          this.#channel,
          () => {
            this.#wake(life)
          },
          () => {
            this.#listening = undefined
            void this.#listen(life)
          },
        )
        if (life !== this.#life) listening.close()
        else this.#listening = listening
      } catch {
        // The feed goes on by the clock.
        const waited = pause
        pause = Math.min(pause * 2, longestPause)
        await new Promise<void>((resolve) => systemClock.timer(waited, resolve))
      }
    }
  }
}

/** The answer, or a failure when it doesn't come. */
async function inTime<T>(answer: Promise<T>): Promise<T> {
  let cancel = (): void => undefined
  const late = new Promise<never>((_, reject) => {
    cancel = systemClock.timer(patience, () => {
      reject(new StoreUnavailable(`PostgreSQL did not answer within ${patience} ms`))
    })
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    cancel()
  }
}
