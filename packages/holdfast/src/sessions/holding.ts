/**
 * What one request holds of a session: reads it once, keeps what is to be stored until it was, and lets what goes to
 * the store wait its turn.
 */

import type { CredentialParts } from '../credentials/credential.ts'
import { SessionNotLoaded } from '../errors.ts'
import type { Release } from '../records/leases.ts'
import type { Awaitable } from '../store/contract.ts'
import type { Label } from '../store/record.ts'
import type { OldArrival } from './adopting.ts'
import { type Facts, type FactsChange, factsOf } from './facts.ts'
import { type Held, shownOf } from './held.ts'
import type { Login } from './login.ts'
import type { Pending, Storing } from './storing.ts'
import type { Visit } from './visit.ts'
import type { WorkingCopy } from './working-copy.ts'

/** What a session needs of the `Sessions` that it came from. */
export interface SessionHome {
  readonly storing: Storing
  /** Reads the session of a request, once it was decided to let it in. */
  read(parts: CredentialParts, visit: Visit): Awaitable<Read | undefined>
  /** The same for one that another library's cookie came with: what that stands for where nothing else is opened. */
  readOrAdopt(old: OldArrival, arrival: Arrival): Promise<Read | undefined>
  /** Ends what another library's cookie stands for, unless it is what was ended already. */
  endOld(old: OldArrival, ended: string | undefined): Promise<void>
  begin(principal: { readonly user: string }): Promise<Login>
  /** Stores a login where it may be, and keeps to the limit of the user's sessions: one too many is ended, or refused. */
  logIn(login: Login, held: Held | undefined, store: () => Promise<Held>): Promise<void>
  /** Ends the session that a request came with, by whatever secret of its own. */
  logout(credential: string): Promise<boolean>
}

/** What a request came with. */
export interface Arrival {
  readonly visit: Visit
  /** What the client sent, and what it says; missing where it is no credential of ours. */
  readonly credential?: string
  readonly parts?: CredentialParts
  /** Another library's cookie, where its sessions are adopted. */
  readonly old?: OldArrival
}

/** What was read. */
export interface Read extends Held {
  /** The secret that opened it, where the request did not come with that itself. */
  readonly presented?: string
  /** Lets go of the lock. */
  readonly release?: Release
}

const nothing: FactsChange = {}
const nobodys: Facts = {}

export class Holding {
  readonly home: SessionHome
  readonly arrival: Arrival
  /** What is stored; `undefined` for a new session. */
  held: Held | undefined
  /** The labels of a new session. */
  labels: readonly Label[] = []
  isLoaded: boolean
  isDestroyed = false
  hasOtherEnd = false
  /** Whether to go on without what could not be read. Missing: reading fails. */
  goesOnWithout: ((error: unknown) => boolean) | undefined
  /** What is thrown in the place of an error. Missing: the error. */
  told: ((error: unknown) => unknown) | undefined
  readonly #copy: WorkingCopy
  /** Why it could not be read, where the request goes on without. */
  #outage: { readonly error: unknown } | undefined
  /** Missing until it was asked for. */
  #loading: Awaitable<void> | undefined
  #facts: FactsChange = nothing
  #saving: Promise<unknown> | undefined
  /** The secret that it had been given already when the request came with an earlier one. */
  #successor: string | undefined
  #release: Release | undefined
  #isReleased = false

  constructor(home: SessionHome, arrival: Arrival, copy: WorkingCopy) {
    this.home = home
    this.arrival = arrival
    this.#copy = copy
    this.isLoaded = arrival.parts === undefined && arrival.old === undefined
    if (this.isLoaded) copy.rebase({})
  }

  /** @throws {SessionNotLoaded} */
  get known(): Held | undefined {
    if (this.isLoaded) return this.held
    throw new SessionNotLoaded('this session is not loaded yet: `await session.load()` first')
  }

  /** Its facts, with what this request has changed. @throws {SessionNotLoaded} */
  get facts(): Facts {
    const stored = this.known ? factsOf(this.known.entry.envelope) : nobodys
    return this.#facts === nothing ? stored : ({ ...stored, ...this.#facts } as Facts)
  }

  get hasNewFacts(): boolean {
    return this.#facts !== nothing
  }

  get isLocked(): boolean {
    return this.#release !== undefined
  }

  /** Whether the client is given another secret as it is: somebody rotated since it was given the one that it sent. */
  get hasSuccessor(): boolean {
    return this.#successor !== undefined && this.held?.secret === this.#successor
  }

  /** To be stored with what else is. */
  note(facts: FactsChange): void {
    this.#facts = { ...this.#facts, ...facts }
  }

  // ── loading ───────────────────────────────────────────────────────────────────────────────────────────────

  /** Reads it from the store, once however often it is called. */
  load(): Awaitable<void> {
    if (this.isLoaded) return
    this.#loading ??= this.#read()
    return this.#loading
  }

  /** Lets go of the lock: also of one that this request still waits for. */
  async release(): Promise<void> {
    const release = this.#release
    this.#release = undefined
    this.#isReleased = true
    await release?.()
  }

  #read(): Awaitable<void> {
    const { parts, visit, old } = this.arrival
    try {
      const read = old ? this.home.readOrAdopt(old, this.arrival) : this.home.read(parts!, visit)
      if (read instanceof Promise) {
        return read.then(
          async (answer) => {
            this.#arrived(answer)
            if (this.#isReleased) await this.release()
          },
          (error: unknown) => {
            this.#failed(error)
          },
        )
      }
      this.#arrived(read)
    } catch (error) {
      this.#failed(error)
    }
  }

  #failed(error: unknown): void {
    // The next who asks may have more luck.
    this.#loading = undefined
    if (this.goesOnWithout?.(error) !== true) throw this.#tellable(error)
    this.#outage = { error }
    this.#arrived(undefined)
  }

  #tellable(error: unknown): unknown {
    return this.told ? this.told(error) : error
  }

  #arrived(read: Read | undefined): void {
    this.isLoaded = true
    if (!read) {
      this.#copy.rebase({})
      return
    }
    this.#release = read.release
    if (read.secret !== (read.presented ?? this.arrival.parts?.secret)) this.#successor = read.secret
    this.hold(read)
  }

  // ── storing ───────────────────────────────────────────────────────────────────────────────────────────────

  /** What goes to the store waits its turn, so that nothing is answered before all that was asked for is stored. */
  async inTurn<T>(task: () => Promise<T>): Promise<T> {
    if (!this.isLoaded) await this.load()
    // What is there is not known: nothing may be begun in its place, and nothing told of its end.
    if (this.#outage) throw this.#tellable(this.#outage.error)
    const turn = this.#saving ? this.#saving.then(task) : task()
    this.#saving = turn.catch(() => undefined)
    return await this.asked(turn)
  }

  /** What the store answers to the application's own question. */
  async asked<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer
    } catch (error) {
      throw this.#tellable(error)
    }
  }

  /**
   * Stores what was changed and takes up what is stored then. What could not be stored is unsaved again.
   *
   * @param now.facts Facts that are stored now or never.
   * @param now.inside Also what was changed inside of stored values. @default true
   */
  async stored(
    store: (pending: Pending) => Promise<Held>,
    { facts: more, inside = true }: { readonly facts?: FactsChange; readonly inside?: boolean } = {},
  ): Promise<Held> {
    const changes = this.#copy.take(inside)
    const facts = this.#facts
    this.#facts = nothing
    const pending = { ...changes, facts: { ...facts, ...more }, visit: this.arrival.visit }
    try {
      const held = await store(pending)
      if (!inside) this.#copy.dropChangesInside()
      this.hold(held)
    } catch (error) {
      this.#copy.putBack(changes)
      if (facts !== nothing) this.#facts = { ...facts, ...this.#facts }
      throw error
    }
    this.isDestroyed = false
    this.hasOtherEnd ||= 'expiry' in pending.facts || 'remembered' in pending.facts
    return this.held!
  }

  hold(held: Held): void {
    this.held = held
    this.#copy.rebase(shownOf(held))
  }

  /** What was stored is not there any more. */
  forget(): void {
    this.held = undefined
    this.labels = []
    this.#facts = nothing
    this.#copy.empty()
  }
}
